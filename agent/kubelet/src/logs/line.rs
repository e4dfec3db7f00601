//! One line of a log file. Pure; untrusted bytes never panic.

/// A line as the runtime wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// RFC 3339 with nanoseconds.
    pub time: &'a str,
    pub stderr: bool,
    /// The container's own line goes on in the next one.
    pub partial: bool,
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Parses `TIME STREAM TAGS TEXT\n`; `None` when it is not complete or not of this form.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.strip_suffix(b"\n")?;
        let mut parts = bytes.splitn(4, |b| *b == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        let stderr = match parts.next()? {
            b"stdout" => false,
            b"stderr" => true,
            _ => return None,
        };
        let tags = parts.next()?;
        let partial = tags.split(|b| *b == b':').next()? == b"P";
        Some(Self { time, stderr, partial, text: parts.next().unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let check = |bytes: &[u8], expect: Option<(bool, bool, &[u8])>| {
            assert_eq!(Line::parse(bytes).map(|l| (l.stderr, l.partial, l.text)), expect);
        };
        check(b"2026-01-01T00:00:00.1Z stdout F hello world\n", Some((false, false, b"hello world")));
        check(b"2026-01-01T00:00:00.1Z stderr P part\n", Some((true, true, b"part")));
        check(b"2026-01-01T00:00:00.1Z stdout F \n", Some((false, false, b"")));
        check(b"2026-01-01T00:00:00.1Z stdout F\n", Some((false, false, b"")));
        check(b"2026-01-01T00:00:00.1Z stdout F no end", None);
        check(b"garbage\n", None);
        check(b"\xff\xfe stdout F x\n", None);
        check(b"", None);
    }
}
