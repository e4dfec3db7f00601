//! Join tokens: what an agent needs to find its way into the cluster, and nothing else.
//!
//! `K10<SHA-256 of the CA certificate in DER, 64 hex digits>::<id>.<secret>`: the hash tells the agent which server
//! to trust before it has said a word, the part behind `::` is a bootstrap token.

use keelson_apiserver::auth::tokens::BootstrapToken;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;

/// The version of the form, as a prefix of the text.
const PREFIX: &str = "K10";
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Why a text is no join token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinTokenError {
    #[error("a join token begins with K10 and has the form K10<hash>::<id>.<secret>")]
    Form,
    #[error("the hash in a join token has 64 hex digits")]
    Hash,
    #[error("the part of a join token behind :: has the form <6 characters>.<16 characters> of a-z and 0-9")]
    Secret,
    #[error("the system has no randomness")]
    Randomness,
}

/// A parsed join token.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// SHA-256 of the CA certificate in DER, in hex.
    pub ca_hash: String,
    pub token: BootstrapToken,
}

impl JoinToken {
    /// A new token for the cluster with this CA.
    pub fn generate(ca_hash: &str) -> Result<Self, JoinTokenError> {
        let mut bytes = [0; 22];
        SystemRandom::new().fill(&mut bytes).map_err(|_| JoinTokenError::Randomness)?;
        // 32 letters: five bits of each byte, without bias.
        let text = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect::<String>();
        let (id, secret) = text.split_at(6);
        let token = BootstrapToken { id: id.to_owned(), secret: secret.to_owned() };
        Ok(Self { ca_hash: ca_hash.to_owned(), token })
    }

    pub fn parse(text: &str) -> Result<Self, JoinTokenError> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(JoinTokenError::Form)?;
        let (hash, token) = rest.split_once("::").ok_or(JoinTokenError::Form)?;
        if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(JoinTokenError::Hash);
        }
        let token = BootstrapToken::parse(token).ok_or(JoinTokenError::Secret)?;
        Ok(Self { ca_hash: hash.to_ascii_lowercase(), token })
    }

    /// The part that authenticates.
    pub fn bearer(&self) -> String {
        format!("{}.{}", self.token.id, self.token.secret)
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}::{}", self.ca_hash, self.bearer())
    }
}

/// Without the secret: tokens must not end up in logs.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}::{}.<secret>", self.ca_hash, self.token.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let hash = "0123456789abcdef".repeat(4);
        let token = JoinToken::generate(&hash).unwrap();
        assert_eq!(JoinToken::parse(&format!("{token}\n")), Ok(token.clone()));
        assert_ne!(JoinToken::generate(&hash).unwrap(), token);
        assert!(!format!("{token:?}").contains(&token.token.secret));
    }

    #[test]
    fn what_is_none() {
        let hash = "0".repeat(64);
        for (text, wanted) in [
            ("", JoinTokenError::Form),
            ("abcdef.0123456789abcdef", JoinTokenError::Form),
            ("K10abc::abcdef.0123456789abcdef", JoinTokenError::Hash),
            (&format!("K10{hash}::abcdef"), JoinTokenError::Secret),
            (&format!("K10{hash}::ABCDEF.0123456789abcdef"), JoinTokenError::Secret),
            (&format!("K10{hash}"), JoinTokenError::Form),
        ] {
            assert_eq!(JoinToken::parse(text), Err(wanted), "{text}");
        }
    }
}
