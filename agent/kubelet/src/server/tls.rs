//! The server's certificate, which the agent replaces when it renews it, and the CA of its callers.

use arc_swap::ArcSwapOption;
use rustls::RootCertStore;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// A certificate, key or CA that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("not PEM: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error("the client CA cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

#[derive(Debug, Default)]
struct Held(ArcSwapOption<CertifiedKey>);

impl ResolvesServerCert for Held {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// A cheap handle; all clones share the certificate.
#[derive(Clone)]
pub struct ServingTls {
    held: Arc<Held>,
    config: Arc<rustls::ServerConfig>,
}

impl ServingTls {
    /// Callers are verified against `client_ca_pem`. Handshakes fail until [`ServingTls::replace`] gives the
    /// first certificate.
    pub fn new(client_ca_pem: &[u8]) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(client_ca_pem) {
            roots.add(certificate?)?;
        }
        // Without a certificate there may still be a bearer token: the request decides.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()?;
        let held = Arc::new(Held::default());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&held) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { held, config: Arc::new(config) })
    }

    /// New connections get this certificate; open ones are not disturbed.
    pub fn replace(&self, certificates_pem: &[u8], key_pem: &[u8]) -> Result<(), TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificates_pem).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(key_pem)?;
        let key = CertifiedKey::from_der(chain, key, self.config.crypto_provider())?;
        self.held.0.store(Some(Arc::new(key)));
        Ok(())
    }

    pub(super) fn server_config(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.config)
    }
}
