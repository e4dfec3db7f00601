//! Client certificates: the common name is the user, each organization a group.
//!
//! The handshake proves that the peer holds the certificate's key; whether the chain ends at the cluster's CA is
//! judged here, so that a certificate of another cluster or of last year is answered with 401 and not with a
//! broken connection.

use super::AuthError;
use keelson_api::identity::{GROUP_AUTHENTICATED, UserInfo};
use ring::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The extra attribute that names the credential a request came with (KEP-4193).
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// Who holds the other end of a connection, by its client certificate; made once per connection.
#[derive(Debug)]
pub struct PeerIdentity(Certificate);

#[derive(Debug)]
enum Certificate {
    /// Why the certificate is not taken.
    Refused(String),
    Valid {
        user: Arc<UserInfo>,
        /// Unix seconds; a connection can outlive its certificate.
        not_after: i64,
    },
}

impl PeerIdentity {
    /// The certificate's user, or why there is none.
    pub(super) fn user(&self, now_seconds: i64) -> Result<Arc<UserInfo>, &str> {
        match &self.0 {
            Certificate::Refused(why) => Err(why),
            Certificate::Valid { not_after, .. } if now_seconds > *not_after => {
                Err("the certificate has expired")
            }
            Certificate::Valid { user, .. } => Ok(user.clone()),
        }
    }
}

/// Judges client certificates by the cluster's client CAs.
#[derive(Debug)]
pub struct ClientCertificates {
    chain: Arc<dyn ClientCertVerifier>,
}

impl ClientCertificates {
    pub fn new(authorities: &[CertificateDer<'static>]) -> Result<Self, AuthError> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority.clone()).map_err(|error| AuthError::ClientCa(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|error| AuthError::ClientCa(error.to_string()))?;
        Ok(Self { chain })
    }

    /// Judges the chain that a connection presented, the leaf first.
    pub fn peer(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Option<Arc<PeerIdentity>> {
        let (leaf, intermediates) = chain.split_first()?;
        Some(Arc::new(PeerIdentity(match self.judge(leaf, intermediates, now) {
            Ok((user, not_after)) => Certificate::Valid { user: Arc::new(user), not_after },
            Err(why) => Certificate::Refused(why),
        })))
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(UserInfo, i64), String> {
        self.chain.verify_client_cert(leaf, intermediates, now).map_err(|error| error.to_string())?;
        let (_, certificate) = X509Certificate::from_der(leaf).map_err(|error| error.to_string())?;
        let subject = certificate.subject();
        let text = |value: &x509_parser::x509::AttributeTypeAndValue<'_>| value.as_str().map(str::to_owned);
        let username = subject.iter_common_name().next().and_then(|name| text(name).ok()).unwrap_or_default();
        if username.is_empty() {
            return Err("the certificate has no common name".to_owned());
        }
        let mut groups = Vec::new();
        for organization in subject.iter_organization() {
            groups.push(text(organization).map_err(|error| error.to_string())?);
        }
        if !groups.iter().any(|group| group == GROUP_AUTHENTICATED) {
            groups.push(GROUP_AUTHENTICATED.to_owned());
        }
        let mut user = UserInfo { username, groups, ..UserInfo::default() };
        user.extra.insert(CREDENTIAL_ID.to_owned(), vec![format!("X509SHA256={}", sha256_hex(leaf))]);
        Ok((user, certificate.validity().not_after.timestamp()))
    }
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest(&SHA256, bytes).as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Now, as rustls wants it.
pub(super) fn unix_time(now_seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now_seconds).unwrap_or(0)))
}

#[cfg(test)]
#[path = "x509_tests.rs"]
mod tests;
