//! The server's side of TLS: a certificate that can be swapped while running, and client certificates that are
//! asked for but judged later, by authentication, which knows the client CA and its rotations.

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("the {what} is not valid PEM: {why}")]
    Pem { what: &'static str, why: String },
    #[error("the certificate file holds no certificate")]
    Empty,
    #[error("the certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate that the server shows; `swap` takes effect for the next connection.
pub struct ServerCertificate {
    current: ArcSwap<CertifiedKey>,
}

impl ServerCertificate {
    /// From PEM: the certificate with its chain, and its key.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Arc<Self>, CertificateError> {
        Ok(Arc::new(Self { current: ArcSwap::from_pointee(certified_key(certificates, key)?) }))
    }

    pub fn swap(&self, certificates: &[u8], key: &[u8]) -> Result<(), CertificateError> {
        self.current.store(Arc::new(certified_key(certificates, key)?));
        Ok(())
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerCertificate")
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn certified_key(certificates: &[u8], key: &[u8]) -> Result<CertifiedKey, CertificateError> {
    let chain = certificates_from_pem(certificates)?;
    let key = key_from_pem(key)?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

/// The certificates of a PEM text, at least one.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| CertificateError::Pem { what: "certificate", why: e.to_string() })?;
    if chain.is_empty() { Err(CertificateError::Empty) } else { Ok(chain) }
}

/// The private key of a PEM text.
pub fn key_from_pem(pem: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|e| CertificateError::Pem { what: "private key", why: e.to_string() })
}

/// The one cryptography of the product.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1.
pub fn server_config(certificate: Arc<ServerCertificate>) -> Arc<ServerConfig> {
    let provider = provider();
    let verifier = Arc::new(AnyClient { provider: Arc::clone(&provider) });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // One ticket is enough for clients that reconnect; each costs a write in every handshake.
    config.send_tls13_tickets = 1;
    Arc::new(config)
}

/// Takes any client certificate whose key the client holds. Whether its issuer is trusted is decided by
/// authentication: a request with an unknown certificate is a 401, not a broken connection.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
