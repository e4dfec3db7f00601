//! Who is asking and what they may do: authentication, authorization, the tokens of service accounts, access reviews, and
//! the admission rules that follow from identity.
//!
//! Pure cores (`rbac`, `node`, `attributes`, `tokens::jwt`) under one handle, `Auth`, that reads the store.
//! Never changes an object.

mod admission;
mod attributes;
mod authenticate;
mod authorizer;
#[cfg(test)]
mod identities_tests;
mod impersonate;
mod lookup;
pub mod node;
pub mod rbac;
mod reviews;
#[cfg(test)]
mod testing;
pub mod tokens;
mod x509;

pub use attributes::{Attributes, Decision, Reason, forbidden};
pub use x509::PeerIdentity;

use crate::admission::Admission;
use crate::clock;
use authenticate::Authenticator;
use authorizer::Authorizer;
use bytes::Bytes;
use keelson_api::identity::UserInfo;
use keelson_api::kinds::KindDef;
use keelson_api::status::Status;
use keelson_store::{HistoryError, Store};
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use std::sync::Arc;
use tokens::{KeyError, SigningKeys, TokenIssuer, TokenVerifier};
use tokio::task::JoinHandle;
use x509::ClientCertificates;

/// Why authentication and authorization cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("the client CA cannot be used: {0}")]
    ClientCa(String),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("roles cannot be read: {0}")]
    Store(#[from] HistoryError),
}

/// What authentication needs to know of the cluster.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// The CAs whose client certificates name users.
    pub client_ca: Vec<CertificateDer<'static>>,
    /// The P-256 key in PKCS#8 PEM that signs ServiceAccount tokens.
    pub signing_key_pem: String,
    /// The `iss` of tokens, a URL.
    pub issuer: String,
    /// The audiences that the API takes; the first ones of tokens that ask for none.
    pub api_audiences: Vec<String>,
    /// Where the token keys are published.
    pub jwks_uri: String,
}

/// Authentication and authorization over the objects of a store.
pub struct Auth {
    store: Store,
    certificates: ClientCertificates,
    authenticator: Authenticator,
    authorizer: Authorizer,
    issuer: Arc<TokenIssuer>,
}

impl Auth {
    pub fn new(config: AuthConfig, store: Store) -> Result<Arc<Self>, AuthError> {
        let keys = Arc::new(SigningKeys::from_pem(&config.signing_key_pem)?);
        let issuer =
            Arc::new(TokenIssuer::new(keys, config.issuer, config.api_audiences.clone(), config.jwks_uri));
        let objects: Arc<dyn lookup::Lookup> = Arc::new(store.clone());
        let tokens = Arc::new(TokenVerifier::new(issuer.clone(), objects.clone()));
        Ok(Arc::new(Self {
            certificates: ClientCertificates::new(&config.client_ca)?,
            authenticator: Authenticator::new(tokens, objects, config.api_audiences),
            authorizer: Authorizer::new(&store)?,
            issuer,
            store,
        }))
    }

    /// Keeps roles and pods' references at the store's heels until the store closes or the task is aborted.
    pub fn follow(self: &Arc<Self>) -> JoinHandle<()> {
        let auth = Arc::clone(self);
        tokio::spawn(async move { auth.authorizer.follow(&auth.store).await })
    }

    /// Whether roles and pods' references have been read and are being followed.
    pub fn is_following(&self) -> bool {
        self.authorizer.is_following()
    }

    /// Waits until roles and bindings up to `revision` count.
    pub async fn reached(&self, revision: u64) {
        self.authorizer.rbac.reached(revision).await;
    }

    /// Judges the chain that a connection presented, the leaf first; `None` for an empty one.
    pub fn peer(&self, certificates: &[CertificateDer<'static>]) -> Option<Arc<PeerIdentity>> {
        self.certificates.peer(certificates, x509::unix_time(clock::unix_seconds()))
    }

    /// The user of a request, or a 401.
    pub fn authenticate(
        &self,
        parts: &http::request::Parts,
        peer: Option<&Arc<PeerIdentity>>,
    ) -> Result<Arc<UserInfo>, Status> {
        self.authenticator.authenticate(&parts.headers, peer, clock::unix_seconds())
    }

    /// The user that `user` asks to act as; `None` when the request does not ask, a 403 when they may not.
    pub fn impersonate(
        &self,
        parts: &http::request::Parts,
        user: &Arc<UserInfo>,
    ) -> Result<Option<Arc<UserInfo>>, Status> {
        let check = |attributes: &Attributes<'_>| self.check(user, attributes);
        Ok(impersonate::impersonate(&parts.headers, &check)?.map(Arc::new))
    }

    pub fn authorize(&self, user: &UserInfo, attributes: &Attributes<'_>) -> Decision {
        self.authorizer.authorize(user, attributes)
    }

    /// A 403 in Kubernetes' words unless `user` may.
    pub fn check(&self, user: &UserInfo, attributes: &Attributes<'_>) -> Result<(), Status> {
        match self.authorize(user, attributes) {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(forbidden(user, attributes, &reason)),
        }
    }

    /// Validating admission by identity: what nodes may write, who may hand out which rights, who may approve and
    /// sign certificates.
    pub fn validate(&self, admission: &Admission<'_>) -> Result<(), Status> {
        admission::validate(self, admission)
    }

    /// Answers one of the review kinds, which are created and not stored.
    pub async fn review(
        &self,
        def: &KindDef,
        user: &UserInfo,
        namespace: &str,
        object: Value,
    ) -> Result<Value, Status> {
        reviews::review(self, def.kind, user, namespace, object)
    }

    /// Answers a TokenRequest. A dry run differs from a real one in nothing: nothing is stored either way.
    pub async fn create_token(
        &self,
        namespace: &str,
        service_account: &str,
        request: Value,
        _dry_run: bool,
    ) -> Result<Value, Status> {
        tokens::create_token(
            &self.issuer,
            &self.store,
            (namespace, service_account),
            request,
            clock::unix_seconds(),
        )
    }

    /// `/.well-known/openid-configuration`, `application/json`.
    pub fn openid_configuration(&self) -> Bytes {
        self.issuer.openid_configuration()
    }

    /// `/openid/v1/jwks`, `application/jwk-set+json`.
    pub fn jwks(&self) -> Bytes {
        self.issuer.jwks()
    }
}
