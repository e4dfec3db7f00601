//! Continue tokens: where a chunked list goes on, in Kubernetes' own form, so that a token is readable to
//! whoever debugs it. They come back from clients and are as untrusted as any other input.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use keelson_api::status::Status;
use serde::{Deserialize, Serialize};

/// As Go decodes it: bits that are left over at the end do not matter.
const TOKEN: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));
const VERSION: &str = "meta.k8s.io/v1";

/// Where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The revision of the list; 0 for "whatever is current", after the first revision had expired.
    pub revision: u64,
    /// The last key that was returned, relative to the list's prefix.
    pub last: String,
}

/// What is missing is empty, as for Go.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Wire {
    v: String,
    /// -1 for an inconsistent continuation.
    rv: i64,
    start: String,
}

impl Token {
    pub fn encode(&self) -> String {
        let rv = if self.revision == 0 { -1 } else { i64::try_from(self.revision).unwrap_or(-1) };
        // `start` is the first key not returned yet: the last one followed by a zero byte.
        let wire = Wire { v: VERSION.to_owned(), rv, start: format!("{}\0", self.last) };
        TOKEN.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    pub fn decode(text: &str) -> Result<Token, Status> {
        let refuse = |why: &str| Status::bad_request(format!("invalid continue token: {why}"));
        let bytes = TOKEN.decode(text).map_err(|error| {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                _ => text.len(),
            };
            refuse(&format!("continue key is not valid: illegal base64 data at input byte {at}"))
        })?;
        let wire: Wire = serde_json::from_slice(&bytes)
            .map_err(|error| refuse(&format!("continue key is not valid: {}", json_error(&bytes, &error))))?;
        if wire.v != VERSION {
            return Err(refuse(&format!(
                "continue key is not valid: server does not recognize this encoded version {}",
                wire.v.escape_default()
            )));
        }
        if wire.rv == 0 {
            return Err(refuse(
                "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ));
        }
        if wire.start.is_empty() {
            return Err(refuse(
                "continue key is not valid: encoded start key empty (version meta.k8s.io/v1)",
            ));
        }
        // A path with nothing to clean: it cannot lead out of the list's prefix.
        let start = wire.start.strip_prefix('/').unwrap_or(&wire.start);
        if start.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(refuse(&format!("continue key is not valid: {}", wire.start.escape_default())));
        }
        let last = start.strip_suffix('\0').unwrap_or(start);
        Ok(Token { revision: u64::try_from(wire.rv).unwrap_or(0), last: last.to_owned() })
    }
}

/// The words of Go's JSON decoder for the commonest case, a first byte that starts no value.
fn json_error(bytes: &[u8], error: &serde_json::Error) -> String {
    match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(first) if !matches!(first, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
            let shown = match char::from(*first) {
                '\'' => "\\'".to_owned(),
                c if c.is_ascii_graphic() => c.to_string(),
                c if (c as u32) < 0x20 || c as u32 == 0x7f => format!("\\x{:02x}", c as u32),
                c => format!("\\u{:04x}", c as u32),
            };
            format!("invalid character '{shown}' looking for beginning of value")
        }
        None => "unexpected end of JSON input".to_owned(),
        Some(_) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let check = |revision, last: &str| {
            let token = Token { revision, last: last.to_owned() };
            assert_eq!(Token::decode(&token.encode()).expect("valid"), token);
        };
        check(17, "name");
        check(1, "ns/name");
        check(0, "ns/name");
    }

    #[test]
    fn refuses() {
        let check = |text: &str, want: &str| {
            assert_eq!(Token::decode(text).expect_err("refused").message, want, "{text}");
        };
        check(
            "garbage",
            "invalid continue token: continue key is not valid: invalid character '\\u0081' looking for beginning of value",
        );
        check(
            "a$b",
            "invalid continue token: continue key is not valid: illegal base64 data at input byte 1",
        );
        let check = |json: &str, want: &str| {
            let refused = Token::decode(&TOKEN.encode(json)).expect_err("refused");
            let want = format!("invalid continue token: continue key is not valid: {want}");
            assert_eq!((refused.code, refused.message), (400, want), "{json}");
        };
        check("", "unexpected end of JSON input");
        check("{}", "server does not recognize this encoded version ");
        check(r#"{"v":"x","rv":1,"start":"a"}"#, "server does not recognize this encoded version x");
        let check = |rv: i64, start: &str, want: &str| {
            check(&format!(r#"{{"v":"meta.k8s.io/v1","rv":{rv},"start":"{start}"}}"#), want);
        };
        check(0, "a", "incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
        check(1, "", "encoded start key empty (version meta.k8s.io/v1)");
        for start in ["..", "../other/a", "a/../../b", "a//b", "./a", "/../a", "a/", "/"] {
            check(1, start, start);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = Token::decode(&text);
        }
    }
}
