//! One HTTP GET as probes and hooks make it: no certificate check, redirects only within the host.

use super::url::Url;
use super::words;
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
/// As many redirects as Go's client follows.
const REDIRECTS_MAX: usize = 10;
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

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

/// Status and the beginning of the body. The error is the reason in words. A redirect to the same host is followed;
/// one to another host is an answer, as no probe may be led elsewhere.
pub(super) async fn get(get: Get<'_>) -> Result<(u16, String), String> {
    let action = get.action;
    let host = if action.host.is_empty() { get.ip } else { action.host.as_str() };
    let port = port(&action.port, get.pod, get.container)?;
    let mut url = Url::new(&action.scheme, host, port, &action.path);
    let end = tokio::time::Instant::now() + get.limit;
    for _ in 0..=REDIRECTS_MAX {
        let failed = |why: &str| format!("Get \"{url}\": {why}");
        let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        let answer = tokio::time::timeout_at(end, exchange(&get, &url)).await.map_err(|_| failed(late))?;
        let answer = answer.map_err(|why| failed(&why))?;
        let next =
            answer.location.as_deref().and_then(|to| url.join(to)).filter(|next| next.host == url.host);
        match next {
            Some(next) => url = next,
            None => return Ok((answer.status, answer.body)),
        }
    }
    Err(format!("Get \"{url}\": stopped after {REDIRECTS_MAX} redirects"))
}

/// One reply.
struct Answer {
    status: u16,
    /// Where a redirect leads.
    location: Option<String>,
    body: String,
}

async fn exchange(get: &Get<'_>, url: &Url) -> Result<Answer, String> {
    let target = url.authority();
    let dialled = TcpStream::connect((url.host.as_str(), url.port)).await;
    let stream = dialled.map_err(|e| words::dial(&target, &e))?;
    let request = request(get, url, &target)?;
    if url.https {
        let name = ServerName::try_from(url.host.clone()).map_err(|e| e.to_string())?;
        let connector = tokio_rustls::TlsConnector::from(tls());
        let stream = connector.connect(name, stream).await.map_err(|e| words::exchange(&e))?;
        return send(TokioIo::new(stream), request).await;
    }
    send(TokioIo::new(stream), request).await
}

fn request(get: &Get<'_>, url: &Url, target: &str) -> Result<http::Request<Empty<Bytes>>, String> {
    let headers = &get.action.http_headers;
    let named = |name: &str| headers.iter().any(|h| h.name.eq_ignore_ascii_case(name));
    let mut request = http::Request::get(url.path.as_str());
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

async fn send<S>(stream: TokioIo<S>, request: http::Request<Empty<Bytes>>) -> Result<Answer, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(|e| words::exchange(&e))?;
    let connection = tokio::spawn(connection);
    let reply = sender.send_request(request).await.map_err(|e| words::exchange(&e));
    let result = match reply {
        Ok(reply) => {
            let status = reply.status().as_u16();
            let location =
                reply.headers().get(http::header::LOCATION).filter(|_| REDIRECTS.contains(&status));
            let location = location.and_then(|l| l.to_str().ok()).map(str::to_owned);
            let body = Limited::new(reply.into_body(), BODY_BYTES_MAX).collect().await;
            let body = body.map(|b| b.to_bytes()).unwrap_or_default();
            Ok(Answer { status, location, body: String::from_utf8_lossy(&body).into_owned() })
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
