//! The first connection: fetch the cluster's CA from the TLS handshake and check it against the token's hash.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("server is {0:?}; it must read https://HOST:PORT")]
    Url(String),
    #[error("cannot connect to {authority}: {source}")]
    Connect { authority: String, source: io::Error },
    #[error("{authority} is not the server that the join token was made by (its CA has another hash)")]
    Foreign { authority: String },
}

/// Returns the CA certificate (DER) of the server at `url` if its SHA-256 is `ca_sha256`. Blocking; a few
/// milliseconds.
pub fn fetch_ca(url: &str, ca_sha256: [u8; 32]) -> Result<CertificateDer<'static>, PinError> {
    let authority = authority(url)?;
    let connect = |source| PinError::Connect { authority: authority.to_owned(), source };
    let verifier =
        Arc::new(Pinned { ca_sha256, found: Mutex::new(None), provider: Arc::new(ring::default_provider()) });
    handshake(authority, &verifier).map_err(connect)?;
    let found = verifier.found.lock().ok().and_then(|mut found| found.take());
    found.ok_or_else(|| PinError::Foreign { authority: authority.to_owned() })
}

/// `HOST:PORT` of `https://HOST:PORT`, perhaps with a final slash.
pub fn authority(url: &str) -> Result<&str, PinError> {
    let rest = url.strip_prefix("https://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    rest.filter(|rest| {
        rest.rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && !rest.contains('/') && is_port(port))
    })
    .ok_or_else(|| PinError::Url(url.to_owned()))
}

/// Goes through a TLS handshake. A certificate that does not fit ends it without an error of ours: `found` stays
/// empty then.
fn handshake(authority: &str, verifier: &Arc<Pinned>) -> io::Result<()> {
    let config = ClientConfig::builder_with_provider(verifier.provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    let (host, _) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let address = authority.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        match connection.complete_io(&mut stream) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    connection.send_close_notify();
    let _ = connection.write_tls(&mut stream);
    stream.flush()
}

/// Accepts a chain that holds the pinned CA and whose leaf that CA has signed.
#[derive(Debug)]
struct Pinned {
    ca_sha256: [u8; 32],
    found: Mutex<Option<CertificateDer<'static>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned =
            |der: &&CertificateDer<'_>| <[u8; 32]>::from(Sha256::digest(der.as_ref())) == self.ca_sha256;
        let foreign = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let ca = intermediates.iter().find(pinned).ok_or(foreign)?.clone().into_owned();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.clone())?;
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            self.provider.clone(),
        )
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verified = verifier.verify_server_cert(leaf, &[], server_name, ocsp_response, now)?;
        if let Ok(mut found) = self.found.lock() {
            *found = Some(ca);
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |url: &str, wanted: Option<&str>| assert_eq!(authority(url).ok(), wanted, "{url}");
        check("https://10.0.0.1:6443", Some("10.0.0.1:6443"));
        check("https://host.example:6443/", Some("host.example:6443"));
        check("https://[fd00::1]:6443", Some("[fd00::1]:6443"));
        for wrong in
            ["", "10.0.0.1:6443", "http://10.0.0.1:6443", "https://10.0.0.1", "https://a:b", "https://a:0"]
        {
            check(wrong, None);
        }
        for wrong in ["https://", "https://:6443", "https://a:6443/api", "https://a:66666"] {
            check(wrong, None);
        }
    }
}
