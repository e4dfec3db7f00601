//! The transport over TLS: one HTTP/2 connection kept alive by pings, or HTTP/1.1 where that is all there is.

use crate::transport::{BoxError, ResponseBody, Transport, TransportError};
use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::Duration;

/// How often an HTTP/2 connection is pinged, and how long the answer may take: a dead peer is noticed within
/// the sum of both also by a watch that has nothing to say.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// A client certificate chain with its key, both PEM.
#[derive(Clone)]
pub struct Identity {
    pub cert_pem: Vec<u8>,
    pub key_pem: Vec<u8>,
}

/// Gives the bearer token of the next request; it may change with time.
pub type TokenProvider = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// How to reach a server and who to be there.
#[derive(Clone)]
pub struct RemoteConfig {
    /// `https://host:port`.
    pub server: String,
    /// The certificates that the server's chain must end in.
    pub ca_pem: Vec<u8>,
    pub identity: Option<Identity>,
    pub token: Option<TokenProvider>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("the server's address {0:?} is not an https URL")]
    Server(String),
    #[error("the CA bundle cannot be read: {0}")]
    Ca(String),
    #[error("the client certificate or key cannot be read: {0}")]
    Identity(String),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

type Connections = HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Requests over TLS to one server.
pub struct RemoteTransport {
    authority: Authority,
    roots: Arc<RootCertStore>,
    /// Replaced whole when the identity changes: streams in flight end on the old connection, everything new
    /// goes over one that presents the new certificate.
    connections: ArcSwap<Connections>,
    token: ArcSwap<Option<TokenProvider>>,
}

impl RemoteTransport {
    /// Checks the configuration; no connection is made before the first call.
    pub fn new(config: RemoteConfig) -> Result<Arc<Self>, RemoteError> {
        let bad_server = || RemoteError::Server(config.server.clone());
        let uri: Uri = config.server.parse().map_err(|_| bad_server())?;
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(bad_server());
        }
        let authority = uri.authority().cloned().ok_or_else(bad_server)?;
        let roots = Arc::new(read_roots(&config.ca_pem)?);
        let connections = connect(&roots, config.identity.as_ref())?;
        Ok(Arc::new(Self {
            authority,
            roots,
            connections: ArcSwap::from_pointee(connections),
            token: ArcSwap::from_pointee(config.token),
        }))
    }

    /// Presents another client certificate (or none) on every connection made from now on.
    pub fn set_identity(&self, identity: Option<Identity>) -> Result<(), RemoteError> {
        self.connections.store(Arc::new(connect(&self.roots, identity.as_ref())?));
        Ok(())
    }

    /// Takes bearer tokens from another place (or sends none) from now on.
    pub fn set_token(&self, token: Option<TokenProvider>) {
        self.token.store(Arc::new(token));
    }

    fn address(&self, request: &mut Request<Bytes>) -> Result<(), TransportError> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        *request.uri_mut() = Uri::from_parts(parts).map_err(TransportError::new)?;
        let token = self.token.load();
        if let Some(token) = token.as_ref().as_ref().and_then(|provider| provider()) {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(TransportError::new)?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(())
    }
}

impl Transport for RemoteTransport {
    fn call(
        &self,
        mut request: Request<Bytes>,
    ) -> BoxFuture<'static, Result<Response<ResponseBody>, TransportError>> {
        if let Err(e) = self.address(&mut request) {
            return Box::pin(std::future::ready(Err(e)));
        }
        let reply = self.connections.load().request(request.map(Full::new));
        Box::pin(async move {
            let response = reply.await.map_err(TransportError::new)?;
            Ok(response.map(|body| ResponseBody::new(body.map_err(|e| Box::new(e) as BoxError))))
        })
    }
}

fn read_roots(pem: &[u8]) -> Result<RootCertStore, RemoteError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| RemoteError::Ca(e.to_string()))?;
        roots.add(certificate).map_err(|e| RemoteError::Ca(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(RemoteError::Ca("there is no certificate in it".to_owned()));
    }
    Ok(roots)
}

fn connect(roots: &Arc<RootCertStore>, identity: Option<&Identity>) -> Result<Connections, RemoteError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots.clone());
    let tls = match identity {
        None => tls.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = read_identity(identity)?;
            tls.with_client_auth_cert(chain, key)?
        }
    };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(PING_EVERY));
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_all_versions()
        .wrap_connector(tcp);
    Ok(HyperClient::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .build(connector))
}

type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_identity(identity: &Identity) -> Result<Chain, RemoteError> {
    let bad = |e: rustls_pki_types::pem::Error| RemoteError::Identity(e.to_string());
    let chain =
        CertificateDer::pem_slice_iter(&identity.cert_pem).collect::<Result<Vec<_>, _>>().map_err(bad)?;
    if chain.is_empty() {
        return Err(RemoteError::Identity("there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).map_err(bad)?;
    Ok((chain, key))
}

#[cfg(test)]
mod tests;
