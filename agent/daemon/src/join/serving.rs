//! The certificate that :10250 is served with: can be swapped while connections come in.

use arc_swap::ArcSwapOption;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// Serves the latest certificate to every handshake; none before the first is set.
#[derive(Debug, Default)]
pub struct ServingCertificate {
    current: ArcSwapOption<CertifiedKey>,
}

impl ServingCertificate {
    /// Serves this chain and key (PEM) from now on.
    pub fn set(&self, certificate_pem: &str, key_pem: &str) -> Result<(), rustls::Error> {
        let broken = |error: rustls::pki_types::pem::Error| rustls::Error::General(error.to_string());
        let chain = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(broken)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(broken)?;
        let certified = CertifiedKey::new(chain, any_supported_type(&key)?);
        self.current.store(Some(Arc::new(certified)));
        Ok(())
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}
