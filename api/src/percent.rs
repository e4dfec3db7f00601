//! Percent escapes of URLs (RFC 3986, section 2.1). Nothing here fails: text that is not escaped rightly stands for
//! itself, as Kubernetes takes it.

use std::borrow::Cow;

/// Decodes percent escapes, and `+` as a space when `plus` is set, as in queries. Text of which any escape is broken
/// or which is not UTF-8 when decoded is returned as it is.
pub fn decode(text: &str, plus: bool) -> Cow<'_, str> {
    if !text.bytes().any(|b| b == b'%' || (plus && b == b'+')) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'+' if plus => out.push(b' '),
            b'%' => {
                let (Some(high), Some(low)) = (digit(bytes, at + 1), digit(bytes, at + 2)) else {
                    return Cow::Borrowed(text);
                };
                out.push(high * 16 + low);
                at += 2;
            }
            other => out.push(other),
        }
        at += 1;
    }
    match String::from_utf8(out) {
        Ok(decoded) => Cow::Owned(decoded),
        Err(_) => Cow::Borrowed(text),
    }
}

fn digit(bytes: &[u8], at: usize) -> Option<u8> {
    (*bytes.get(at)? as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, in_query: &str, elsewhere: &str) {
        assert_eq!(decode(text, true), in_query, "{text} in a query");
        assert_eq!(decode(text, false), elsewhere, "{text} elsewhere");
    }

    #[test]
    fn escapes() {
        check("", "", "");
        check("plain", "plain", "plain");
        check("a%3Db+c", "a=b c", "a=b+c");
        check("%2f%2F", "//", "//");
        check("%25zz", "%zz", "%zz");
        check("%E2%82%AC%c3%a4", "\u{20ac}\u{e4}", "\u{20ac}\u{e4}");
        check("\u{20ac}%20\u{20ac}", "\u{20ac} \u{20ac}", "\u{20ac} \u{20ac}");
    }

    #[test]
    fn what_is_broken_stands_for_itself() {
        for text in ["%", "%4", "%zz", "%4z", "%z4", "a%20b%", "%20%4", "%\u{20ac}", "%4\u{20ac}", "%%20"] {
            check(text, text, text);
        }
        // A sign is no digit, though integers may have one.
        for text in ["%+1", "%-1", "%+1%20"] {
            check(text, text, text);
        }
    }

    #[test]
    fn what_is_not_utf_8_stands_for_itself() {
        for text in ["%ff", "%E2%82", "%82", "a%20%C3", "%C3%20%A4", "%ED%A0%80"] {
            check(text, text, text);
        }
    }
}
