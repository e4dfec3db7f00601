//! The compact form of signed JSON Web Tokens (RFC 7515), for ES256 alone.

use super::key::SigningKeys;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longer tokens are refused unread; ours have some 1,100 bytes.
const MAX_TOKEN: usize = 16 * 1024;

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
}

/// Signs `claims`; `None` when the system has no randomness.
pub(super) fn sign<T: Serialize>(keys: &SigningKeys, claims: &T) -> Option<String> {
    let header = serde_json::to_vec(&Header { alg: "ES256", kid: keys.id() }).ok()?;
    let claims = serde_json::to_vec(claims).ok()?;
    let mut token = format!("{}.{}", base64url(&header), base64url(&claims));
    let signature = keys.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&base64url(&signature));
    Some(token)
}

/// The claims of a token that `keys` signed. Anything else is `None`: another algorithm, another key, a changed
/// byte.
pub(super) fn verify<T: DeserializeOwned>(keys: &SigningKeys, token: &str) -> Option<T> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let header_bytes = URL_SAFE_NO_PAD.decode(header).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header_bytes).ok()?;
    if header.get("alg")? != "ES256" || header.get("kid")? != keys.id() {
        return None;
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    if !keys.verify(message.as_bytes(), &signature) {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// What a token says of its issuer, unverified: whether it is for us to judge.
pub(super) fn issuer_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    if token.len() > MAX_TOKEN {
        return None;
    }
    let claims = token.split('.').nth(1)?;
    serde_json::from_slice::<Issuer>(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok().map(|claims| claims.iss)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn keys() -> SigningKeys {
        SigningKeys::from_pem(&rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap()
    }

    #[test]
    fn a_token_is_taken_as_signed_and_only_so() {
        let (keys, others) = (keys(), keys());
        let claims = json!({"iss": "i", "sub": "s"});
        let token = sign(&keys, &claims).unwrap();
        assert_eq!(verify::<Value>(&keys, &token), Some(claims));
        assert_eq!(issuer_of(&token).as_deref(), Some("i"));
        assert_eq!(verify::<Value>(&others, &token), None);
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last characters of a part may carry unused bits, which the decoder refuses too.
            assert_eq!(verify::<Value>(&keys, &changed), None, "byte {index}");
        }
        for bad in ["", ".", "..", "a.b.c", "a.b", &"x".repeat(MAX_TOKEN + 1)] {
            assert_eq!(verify::<Value>(&keys, bad), None, "{bad}");
        }
    }

    #[test]
    fn no_other_algorithm() {
        let keys = keys();
        let header = json!({"alg": "none", "kid": keys.id()}).to_string();
        let token = format!("{}.{}.", base64url(header.as_bytes()), base64url(b"{}"));
        assert_eq!(verify::<Value>(&keys, &token), None);
    }
}
