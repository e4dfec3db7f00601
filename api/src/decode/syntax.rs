//! What is wrong with a text that should be JSON, in the words of Go's scanner.
//!
//! Runs only after serde_json has refused a text, so it need not be fast.

use super::SyntaxError;

/// The words for `error`, with which serde_json refused `body`.
pub(super) fn go_error(body: &[u8], error: &serde_json::Error) -> SyntaxError {
    let mut scanner = Scanner { body, at: 0 };
    match scanner.document() {
        Err(fault) => SyntaxError(fault),
        // Well-formed by Go's rules: too deep, or a number that no float holds.
        Ok(()) if error.to_string().contains("recursion") => SyntaxError("exceeded max depth".to_owned()),
        Ok(()) => SyntaxError(error.to_string()),
    }
}

struct Scanner<'a> {
    body: &'a [u8],
    at: usize,
}

type Scan = Result<(), String>;

/// A byte as Go's messages quote it.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x20..=0x7e => format!("'{}'", char::from(byte)),
        0xa1..=0xac | 0xae..=0xff => format!("'{}'", char::from(byte)),
        0x00..=0x7f => format!("'\\x{byte:02x}'"),
        _ => format!("'\\u{byte:04x}'"),
    }
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next byte is not what `context` wants.
    fn unexpected(&self, context: &str) -> String {
        match self.peek() {
            Some(byte) => format!("invalid character {} {context}", quoted(byte)),
            None => "unexpected end of JSON input".to_owned(),
        }
    }

    fn document(&mut self) -> Scan {
        self.value()?;
        self.space();
        if self.peek().is_some() { Err(self.unexpected("after top-level value")) } else { Ok(()) }
    }

    /// Walks one value without recursion: `open` holds the brackets that are open.
    fn value(&mut self) -> Scan {
        let mut open = Vec::new();
        loop {
            self.space();
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    self.space();
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                    } else {
                        self.key()?;
                        open.push(b'{');
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    self.space();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                    } else {
                        open.push(b'[');
                        continue;
                    }
                }
                Some(b'"') => self.string()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => return Err(self.unexpected("looking for beginning of value")),
            }
            if self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    /// What follows a value; true when nothing is open any more.
    fn close(&mut self, open: &mut Vec<u8>) -> Result<bool, String> {
        loop {
            let Some(bracket) = open.last() else { return Ok(true) };
            self.space();
            match (bracket, self.peek()) {
                (b'{', Some(b',')) => {
                    self.at += 1;
                    self.space();
                    self.key()?;
                    return Ok(false);
                }
                (b'[', Some(b',')) => {
                    self.at += 1;
                    return Ok(false);
                }
                (b'{', Some(b'}')) | (b'[', Some(b']')) => {
                    self.at += 1;
                    open.pop();
                }
                (b'{', _) => return Err(self.unexpected("after object key:value pair")),
                _ => return Err(self.unexpected("after array element")),
            }
        }
    }

    fn key(&mut self) -> Scan {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("looking for beginning of object key string"));
        }
        self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("after object key"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Scan {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(byte) if byte >= 0x20 => self.at += 1,
                _ => return Err(self.unexpected("in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Scan {
        match self.peek() {
            Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|b| b.is_ascii_hexdigit()) {
                        return Err(self.unexpected("in \\u hexadecimal character escape"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.unexpected("in string escape code")),
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Scan {
        for (i, wanted) in word.bytes().enumerate() {
            if self.peek() != Some(wanted) {
                return Err(
                    self.unexpected(&format!("in literal {word} (expecting {})", quoted(word.as_bytes()[i])))
                );
            }
            self.at += 1;
        }
        Ok(())
    }

    fn digits(&mut self, context: &str) -> Scan {
        if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return Err(self.unexpected(context));
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Scan {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }
}
