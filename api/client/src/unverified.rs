//! TLS to servers that nobody vouches for: pods, as probes and the API server's proxies reach them. As in Kubernetes,
//! it is against listeners, not against impostors; never a way to the API.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::{Arc, LazyLock};

/// TLS 1.2 and 1.3 to a server with any certificate, whoever signed it and whatever name and time it is for. The
/// server still has to hold the certificate's key.
pub fn config() -> Arc<ClientConfig> {
    static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions");
        let verifier = Arc::new(AnyCertificate(provider));
        Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    });
    Arc::clone(&CONFIG)
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
    use rustls::sign;
    use rustls::version::{TLS12, TLS13};
    use rustls_pki_types::PrivateKeyDer;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    fn elsewhere() -> CertifiedKey<rcgen::KeyPair> {
        generate_simple_self_signed(vec!["elsewhere.example".to_owned()]).unwrap()
    }

    /// Shows one certificate and signs with whatever key it has.
    #[derive(Debug)]
    struct Shows(Arc<sign::CertifiedKey>);

    impl ResolvesServerCert for Shows {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<sign::CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    /// A handshake with a server that shows `certificate` and signs with `key`.
    async fn meets(
        certificate: &CertifiedKey<rcgen::KeyPair>,
        key: &CertifiedKey<rcgen::KeyPair>,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> std::io::Result<()> {
        let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let signer = ring::sign::any_supported_type(&private).unwrap();
        let shown = sign::CertifiedKey::new(vec![certificate.cert.der().clone()], signer);
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shows(Arc::new(shown))));
        let (here, there) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move { TlsAcceptor::from(Arc::new(server)).accept(there).await.map(drop) });
        let name = ServerName::try_from("10.0.0.1").unwrap();
        TlsConnector::from(config()).connect(name, here).await.map(drop)
    }

    #[tokio::test]
    async fn any_certificate_will_do_for_whoever_holds_its_key() {
        let (own, other) = (elsewhere(), elsewhere());
        for version in [&TLS12, &TLS13] {
            meets(&own, &own, version).await.unwrap();
            let error = meets(&own, &other, version).await.unwrap_err();
            assert!(error.to_string().contains("BadSignature"), "{version:?}: {error}");
        }
    }
}
