//! Connections to backends: to pods through the kubelet of their node, as this server need not have a route to
//! them; to anything else from here.

use super::target::Place;
use crate::kubelet::{self, TunnelError};
use crate::serve::tls::provider;
use crate::server::Core;
use keelson_api::status::Status;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection of whatever kind.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to a backend, with TLS if it is to be.
pub async fn dial(core: &Arc<Core>, place: &Place, tls: bool) -> Result<Box<dyn Stream>, Status> {
    let stream = plain(core, place).await?;
    if !tls {
        return Ok(stream);
    }
    let name = ServerName::from(place.address.ip());
    let connected = TlsConnector::from(Arc::clone(&ANY)).connect(name, stream);
    match tokio::time::timeout(CONNECT, connected).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(unreachable(&error)),
        Err(_) => Err(unreachable(&"TLS handshake timeout")),
    }
}

async fn plain(core: &Arc<Core>, place: &Place) -> Result<Box<dyn Stream>, Status> {
    if let (Some(name), Some(client)) = (&place.node, &core.config.kubelet) {
        let node = kubelet::node_named(core, name)?;
        match client.tunnel(&node, place.address).await {
            Ok(stream) => return Ok(Box::new(stream)),
            // A kubelet of others, which does not have this: perhaps there is a route.
            Err(TunnelError::Unknown) => {}
            Err(error) => return Err(unreachable(&error)),
        }
    }
    Ok(Box::new(direct(place.address).await?))
}

async fn direct(address: SocketAddr) -> Result<TcpStream, Status> {
    match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // Requests are written whole.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(unreachable(&format!("dial tcp {address}: {error}"))),
        Err(_) => Err(unreachable(&format!("dial tcp {address}: i/o timeout"))),
    }
}

/// The words with which Kubernetes tells that a backend cannot be reached.
pub fn unreachable(error: &dyn std::fmt::Display) -> Status {
    Status::unavailable(format!("error trying to reach service: {error}"))
}

/// TLS towards pods and services, whose certificates nobody vouches for: as in Kubernetes, the proxy's `https` is
/// against listeners, not against impostors.
static ANY: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let provider = provider();
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        .with_no_client_auth();
    Arc::new(config)
});

#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
