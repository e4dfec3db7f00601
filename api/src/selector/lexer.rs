//! The tokens of a label selector.

/// A token; the keywords `in` and `notin` stand for identifiers where a value is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Error,
    End,
    ClosedParen,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    GreaterThan,
    Identifier,
    In,
    LessThan,
    NotEquals,
    NotIn,
    OpenParen,
}

fn special(byte: u8) -> bool {
    matches!(byte, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<')
}

fn keyword(text: &str) -> Option<Token> {
    Some(match text {
        ")" => Token::ClosedParen,
        "," => Token::Comma,
        "!" => Token::Not,
        "==" => Token::DoubleEquals,
        "=" => Token::Equals,
        ">" => Token::GreaterThan,
        "in" => Token::In,
        "<" => Token::LessThan,
        "!=" => Token::NotEquals,
        "notin" => Token::NotIn,
        "(" => Token::OpenParen,
        _ => return None,
    })
}

/// All tokens with their text, the last being `End`.
pub(super) fn lex(text: &str) -> Vec<(Token, &str)> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(&first) = rest.as_bytes().first() else {
            tokens.push((Token::End, ""));
            return tokens;
        };
        let (token, length) = if special(first) { symbol(rest) } else { word(rest) };
        let (literal, after) = rest.split_at(length);
        tokens.push((token, literal));
        rest = after;
    }
}

/// The longest symbol. All symbols are prefixes of each other or single, so two bytes decide.
fn symbol(rest: &str) -> (Token, usize) {
    let two = rest.get(..2).and_then(keyword).map(|token| (token, 2));
    two.or_else(|| rest.get(..1).and_then(keyword).map(|token| (token, 1))).unwrap_or((Token::Error, 1))
}

fn word(rest: &str) -> (Token, usize) {
    let end = rest.bytes().position(|b| special(b) || matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
    let length = end.unwrap_or(rest.len());
    (keyword(&rest[..length]).unwrap_or(Token::Identifier), length)
}
