//! Judges ServiceAccount tokens: signature, times, audience, and whether what they are bound to still exists.

use super::cache::Cache;
use super::claims::{Claims, ObjectRef};
use super::issuer::TokenIssuer;
use super::jwt;
use crate::auth::lookup::{Lookup, brief};
use keelson_api::identity::UserInfo;
use ring::digest::{SHA256, digest};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tokens per generation of the cache: a token takes some 2 KB, so the cache stays under 16 MB.
const CACHED: usize = 4096;

/// How long tokens of an object outlive the end of its grace period, as in Kubernetes.
const DELETED_LEEWAY_SECONDS: i64 = 60;

/// Why a bearer token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("invalid bearer token")]
    Invalid,
    #[error("[invalid bearer token, service account token has expired]")]
    Expired,
    #[error("[invalid bearer token, service account token is not valid yet]")]
    NotYet,
    #[error("[invalid bearer token, service account token has been invalidated]")]
    Invalidated,
    #[error("[invalid bearer token, token audiences do not match]")]
    Audience,
}

/// A token whose signature held, and the revisions at which its objects were last seen to be right.
struct Verified {
    claims: Claims,
    user: Arc<UserInfo>,
    /// Of the service account, pod, secret and node; 0 when never seen.
    seen: [AtomicU64; 4],
}

/// Verifies tokens against the issuer's key and the objects of the store.
pub struct TokenVerifier {
    issuer: Arc<TokenIssuer>,
    objects: Arc<dyn Lookup>,
    cache: Cache<Verified>,
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl TokenVerifier {
    pub fn new(issuer: Arc<TokenIssuer>, objects: Arc<dyn Lookup>) -> Self {
        Self { issuer, objects, cache: Cache::new(CACHED) }
    }

    /// The user of `token` and those of `audiences` that it is for.
    pub fn verify(
        &self,
        token: &str,
        audiences: &[String],
        now_seconds: i64,
    ) -> Result<(Arc<UserInfo>, Vec<String>), TokenError> {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let verified = match self.cache.get(&key) {
            Some(verified) => verified,
            None => {
                let verified = Arc::new(self.check_signature(token)?);
                self.cache.insert(key, verified.clone());
                verified
            }
        };
        let result = self.check(&verified, audiences, now_seconds);
        if matches!(result, Err(TokenError::Expired | TokenError::Invalidated)) {
            self.cache.remove(&key);
        }
        Ok((verified.user.clone(), result?))
    }

    fn check_signature(&self, token: &str) -> Result<Verified, TokenError> {
        if jwt::issuer_of(token).as_deref() != Some(self.issuer.issuer()) {
            return Err(TokenError::Invalid);
        }
        let claims: Claims = jwt::verify(&self.issuer.keys, token).ok_or(TokenError::Invalid)?;
        let account = &claims.kubernetes.serviceaccount.name;
        if claims.sub != format!("system:serviceaccount:{}:{account}", claims.kubernetes.namespace) {
            return Err(TokenError::Invalid);
        }
        Ok(Verified { user: Arc::new(claims.user()), claims, seen: Default::default() })
    }

    fn check(
        &self,
        verified: &Verified,
        audiences: &[String],
        now_seconds: i64,
    ) -> Result<Vec<String>, TokenError> {
        let claims = &verified.claims;
        if now_seconds > claims.exp {
            return Err(TokenError::Expired);
        }
        if now_seconds < claims.nbf {
            return Err(TokenError::NotYet);
        }
        let matching = audiences.iter().filter(|a| claims.aud.contains(a)).cloned().collect::<Vec<_>>();
        if matching.is_empty() {
            return Err(TokenError::Audience);
        }
        let kubernetes = &claims.kubernetes;
        let namespace = kubernetes.namespace.as_str();
        // A pod's node is told for information; only a token without a pod lives and dies with its node.
        let node = kubernetes.node.as_ref().filter(|_| kubernetes.pod.is_none());
        let bound = [
            ("serviceaccounts", namespace, Some(&kubernetes.serviceaccount)),
            ("pods", namespace, kubernetes.pod.as_ref()),
            ("secrets", namespace, kubernetes.secret.as_ref()),
            ("nodes", "", node),
        ];
        for ((kind, namespace, object), seen) in bound.into_iter().zip(&verified.seen) {
            if object.is_some_and(|object| !self.lives(kind, namespace, object, seen, now_seconds)) {
                return Err(TokenError::Invalidated);
            }
        }
        Ok(matching)
    }

    fn lives(
        &self,
        kind: &str,
        namespace: &str,
        object: &ObjectRef,
        seen: &AtomicU64,
        now_seconds: i64,
    ) -> bool {
        let key =
            if namespace.is_empty() { object.name.clone() } else { format!("{namespace}/{}", object.name) };
        // An object that has not changed since it was right is still right: no need to parse it again.
        let Some((revision, _)) = self.objects.lookup(kind, &key) else { return false };
        if seen.load(Ordering::Relaxed) == revision {
            return true;
        }
        let Some((revision, current)) = brief(&*self.objects, kind, &key) else { return false };
        if current.metadata.uid != object.uid {
            return false;
        }
        match current.metadata.deletion_timestamp.as_deref().map(unix_seconds) {
            None => {
                seen.store(revision, Ordering::Relaxed);
                true
            }
            // The time passes without the object changing: not to be remembered.
            Some(Some(deleted)) => deleted.saturating_add(DELETED_LEEWAY_SECONDS) >= now_seconds,
            Some(None) => false,
        }
    }
}

fn unix_seconds(timestamp: &str) -> Option<i64> {
    timestamp.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
#[path = "verifier_tests.rs"]
mod tests;
