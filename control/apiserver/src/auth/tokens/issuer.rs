//! Signs tokens. Never decides who may have one.

use super::claims::{Claims, Kubernetes};
use super::jwt;
use super::key::SigningKeys;
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;

/// Makes the cluster's ServiceAccount tokens and publishes how to verify them.
#[derive(Debug)]
pub struct TokenIssuer {
    pub(super) keys: Arc<SigningKeys>,
    pub(super) issuer: String,
    /// The audiences of a token that asks for none, and those that the API itself takes.
    pub(super) api_audiences: Vec<String>,
    jwks_uri: String,
}

impl TokenIssuer {
    pub fn new(keys: Arc<SigningKeys>, issuer: String, api_audiences: Vec<String>, jwks_uri: String) -> Self {
        Self { keys, issuer, api_audiences, jwks_uri }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub fn api_audiences(&self) -> &[String] {
        &self.api_audiences
    }

    /// A token valid from `now` for `seconds`; `None` when the system has no randomness.
    pub fn issue(
        &self,
        subject: Kubernetes,
        audiences: Vec<String>,
        now_seconds: i64,
        seconds: i64,
    ) -> Option<(String, Claims)> {
        let claims = Claims {
            aud: audiences,
            exp: now_seconds.saturating_add(seconds),
            iat: now_seconds,
            iss: self.issuer.clone(),
            jti: uuid::Uuid::new_v4().to_string(),
            nbf: now_seconds,
            sub: format!("system:serviceaccount:{}:{}", subject.namespace, subject.serviceaccount.name),
            kubernetes: subject,
        };
        jwt::sign(&self.keys, &claims).map(|token| (token, claims))
    }

    /// `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0), `application/json`.
    pub fn openid_configuration(&self) -> Bytes {
        let document = json!({
            "issuer": self.issuer,
            "jwks_uri": self.jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        Bytes::from(document.to_string())
    }

    /// `/openid/v1/jwks`, `application/jwk-set+json`.
    pub fn jwks(&self) -> Bytes {
        Bytes::from(self.keys.jwks().to_string())
    }
}
