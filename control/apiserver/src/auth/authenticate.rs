//! Who is asking: a client certificate, a ServiceAccount token, a bootstrap token, or nobody.
//!
//! Never decides what the answer may do.

use super::lookup::Lookup;
use super::tokens::{BootstrapToken, TokenError, TokenVerifier};
use super::x509::PeerIdentity;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use keelson_api::identity::{GROUP_UNAUTHENTICATED, USER_ANONYMOUS, UserInfo};
use keelson_api::status::Status;
use std::sync::Arc;

/// Finds the user of a request.
pub struct Authenticator {
    tokens: Arc<TokenVerifier>,
    objects: Arc<dyn Lookup>,
    api_audiences: Vec<String>,
    anonymous: Arc<UserInfo>,
}

impl Authenticator {
    pub(super) fn new(
        tokens: Arc<TokenVerifier>,
        objects: Arc<dyn Lookup>,
        api_audiences: Vec<String>,
    ) -> Self {
        let anonymous = UserInfo {
            username: USER_ANONYMOUS.to_owned(),
            groups: vec![GROUP_UNAUTHENTICATED.to_owned()],
            ..UserInfo::default()
        };
        Self { tokens, objects, api_audiences, anonymous: Arc::new(anonymous) }
    }

    /// The user of a request. Credentials that are not taken are a 401; without any it is `system:anonymous`,
    /// whom authorization lets see hardly anything. A certificate goes before a token.
    pub(super) fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: Option<&Arc<PeerIdentity>>,
        now_seconds: i64,
    ) -> Result<Arc<UserInfo>, Status> {
        let certificate = peer.map(|peer| peer.user(now_seconds));
        if let Some(Ok(user)) = certificate {
            return Ok(user);
        }
        match (bearer_token(headers), certificate) {
            (Some(token), _) => {
                self.token(token, &self.api_audiences, now_seconds).map(|(user, _)| user).map_err(|why| {
                    tracing::debug!(%why, "a bearer token was refused");
                    Status::unauthorized()
                })
            }
            (None, Some(Err(why))) => {
                tracing::debug!(why, "a client certificate was refused");
                Err(Status::unauthorized())
            }
            (None, _) => Ok(self.anonymous.clone()),
        }
    }

    /// The user of a bearer token, and those of `audiences` that it is for.
    pub(super) fn token(
        &self,
        token: &str,
        audiences: &[String],
        now_seconds: i64,
    ) -> Result<(Arc<UserInfo>, Vec<String>), TokenError> {
        if let Some(token) = BootstrapToken::parse(token) {
            // Good for this API alone.
            let matching =
                audiences.iter().filter(|a| self.api_audiences.contains(a)).cloned().collect::<Vec<_>>();
            return match token.authenticate(&*self.objects, now_seconds) {
                Some(_) if matching.is_empty() => Err(TokenError::Audience),
                Some(user) => Ok((Arc::new(user), matching)),
                None => Err(TokenError::Invalid),
            };
        }
        self.tokens.verify(token, audiences, now_seconds)
    }
}

/// The token of an `Authorization: Bearer` header; `None` when the header is absent or of another scheme.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens() {
        for (header, wanted) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic abc", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, header.parse().unwrap());
            assert_eq!(bearer_token(&headers), wanted, "{header:?}");
        }
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }
}
