//! The join token: `K10<sha256 of the CA certificate in hex>::<id>.<secret>`.

/// A parsed join token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    /// SHA-256 of the CA certificate's DER form.
    pub ca_sha256: [u8; 32],
    /// The bootstrap bearer token, `<id>.<secret>`.
    pub bearer: String,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the join token is malformed ({0}); it reads K10<64 hex digits>::<id>.<secret>, as the server's join-token file shows it"
)]
pub struct TokenError(&'static str);

impl JoinToken {
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let rest = text.strip_prefix("K10").ok_or(TokenError("it does not start with K10"))?;
        let (hash, bearer) = rest.split_once("::").ok_or(TokenError("it has no '::'"))?;
        let (id, secret) = bearer.split_once('.').ok_or(TokenError("its second part has no '.'"))?;
        let plain =
            |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain(id, 6) || !plain(secret, 16) {
            return Err(TokenError("its id has 6 and its secret 16 letters or digits"));
        }
        let ca_sha256 = parse_hash(hash).ok_or(TokenError("the hash has not 64 hex digits"))?;
        Ok(Self { ca_sha256, bearer: bearer.to_owned() })
    }
}

fn parse_hash(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_the_server_writes() {
        let token = JoinToken::parse(&format!("K10{}::abc123.0123456789abcdef", "0f".repeat(32))).unwrap();
        assert_eq!(token.ca_sha256, [0x0f; 32]);
        assert_eq!(token.bearer, "abc123.0123456789abcdef");
    }

    #[test]
    fn says_what_is_wrong() {
        let hash = "0".repeat(64);
        for (text, what) in [
            (String::new(), "K10"),
            (format!("K10{hash}"), "'::'"),
            (format!("K10{hash}::abc123"), "'.'"),
            (format!("K10{hash}::abc.0123456789abcdef"), "6 and"),
            (format!("K10{}::abc123.0123456789abcdef", "g".repeat(64)), "hex"),
            (format!("K10{}::abc123.0123456789abcdef", "ä".repeat(32)), "hex"),
        ] {
            let error = JoinToken::parse(&text).unwrap_err();
            assert!(error.to_string().contains(what), "{text}: {error}");
        }
    }
}
