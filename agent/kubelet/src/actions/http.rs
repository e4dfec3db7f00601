//! One HTTP GET as probes and hooks make it: no certificate check, a redirect is an answer and is not followed.

use crate::pod::Pod;
use crate::pod::spec::HttpAction;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;

/// As much of a body as is read; the rest is not looked at.
const BODY_BYTES_MAX: usize = 10 << 10;

pub(super) struct Get<'a> {
    pub(super) action: &'a HttpAction,
    pub(super) pod: &'a Pod,
    pub(super) container: &'a str,
    pub(super) ip: &'a str,
    pub(super) limit: Duration,
    pub(super) agent: &'a str,
}

/// A port by number, or by the name of one of the container's ports.
pub(super) fn port(value: &Value, pod: &Pod, container: &str) -> Result<u16, String> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok().or_else(|| {
            let ports = pod.container(container).map(|c| c.ports.as_slice()).unwrap_or_default();
            ports.iter().find(|p| p.name == *text).and_then(|p| u64::try_from(p.container_port).ok())
        }),
        _ => None,
    };
    number
        .and_then(|n| u16::try_from(n).ok())
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("couldn't find port: {value}"))
}

/// Status and the beginning of the body. The error is the reason in words.
pub(super) async fn get(get: Get<'_>) -> Result<(u16, String), String> {
    let limit = get.limit;
    let words = describe(&get);
    match tokio::time::timeout(limit, exchange(get)).await {
        Ok(result) => result.map_err(|e| format!("Get \"{words}\": {e}")),
        Err(_) => Err(format!(
            "Get \"{words}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

fn describe(get: &Get<'_>) -> String {
    let port = port(&get.action.port, get.pod, get.container).unwrap_or(0);
    let scheme =
        if get.action.scheme.is_empty() { "http".to_owned() } else { get.action.scheme.to_lowercase() };
    format!("{scheme}://{}/{}", address(host(get), port), get.action.path.trim_start_matches('/'))
}

fn host<'a>(get: &'a Get<'_>) -> &'a str {
    if get.action.host.is_empty() { get.ip } else { &get.action.host }
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn exchange(get: Get<'_>) -> Result<(u16, String), String> {
    let port = port(&get.action.port, get.pod, get.container)?;
    let target = address(host(&get), port);
    let stream = TcpStream::connect(&target).await.map_err(|e| format!("dial tcp {target}: connect: {e}"))?;
    let request = request(&get, &target)?;
    let https = get.action.scheme.eq_ignore_ascii_case("https");
    if https {
        let name = ServerName::try_from(host(&get).to_owned()).map_err(|e| e.to_string())?;
        let connector = tokio_rustls::TlsConnector::from(tls());
        let stream = connector.connect(name, stream).await.map_err(|e| e.to_string())?;
        return send(TokioIo::new(stream), request).await;
    }
    send(TokioIo::new(stream), request).await
}

fn request(get: &Get<'_>, target: &str) -> Result<http::Request<Empty<Bytes>>, String> {
    let path = format!("/{}", get.action.path.trim_start_matches('/'));
    let headers = &get.action.http_headers;
    let named = |name: &str| headers.iter().any(|h| h.name.eq_ignore_ascii_case(name));
    let mut request = http::Request::get(path);
    if !named("host") {
        request = request.header(http::header::HOST, target);
    }
    if !named("user-agent") {
        request = request.header(http::header::USER_AGENT, get.agent);
    }
    if !named("accept") {
        request = request.header(http::header::ACCEPT, "*/*");
    }
    request = request.header(http::header::CONNECTION, "close");
    for header in headers.iter().filter(|h| !h.value.is_empty() || !h.name.eq_ignore_ascii_case("accept")) {
        request = request.header(header.name.as_str(), header.value.as_str());
    }
    request.body(Empty::new()).map_err(|e| e.to_string())
}

async fn send<S>(stream: TokioIo<S>, request: http::Request<Empty<Bytes>>) -> Result<(u16, String), String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(|e| e.to_string())?;
    let connection = tokio::spawn(connection);
    let reply = sender.send_request(request).await.map_err(|e| e.to_string());
    let result = match reply {
        Ok(reply) => {
            let status = reply.status().as_u16();
            let body = Limited::new(reply.into_body(), BODY_BYTES_MAX).collect().await;
            let body = body.map(|b| b.to_bytes()).unwrap_or_default();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        }
        Err(error) => Err(error),
    };
    connection.abort();
    result
}

fn tls() -> Arc<rustls::ClientConfig> {
    static CONFIG: OnceLock<Arc<rustls::ClientConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring's provider has the default protocol versions");
        Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    });
    Arc::clone(config)
}

/// Probes ask whether a server answers, not who it is (as the API documents for `scheme: HTTPS`).
#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
