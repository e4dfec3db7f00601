//! Connections to kubelets: TLS with the server's own client certificate, the kubelet's certificate verified
//! against the cluster's CA. Each request has a connection of its own: they are long and few.

use crate::serve::tls::{CertificateError, certificates_from_pem, key_from_pem, provider};
use arc_swap::ArcSwap;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of a refusal that are read.
const REFUSAL: usize = 4096;

/// Why credentials for kubelets cannot be used, or a kubelet cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum KubeletClientError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("credentials for kubelets cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    #[error("\"{0}\" is not a host name or address")]
    Name(String),
    #[error("{0}")]
    Connect(#[from] std::io::Error),
    #[error("no connection within {} s", CONNECT.as_secs())]
    TimedOut,
    #[error("{0}")]
    Http(#[from] hyper::Error),
}

/// Why there is no connection to a pod.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    #[error(transparent)]
    Kubelet(#[from] KubeletClientError),
    #[error("the kubelet does not serve CONNECT")]
    Unknown,
    #[error("{0}")]
    Refused(String),
}

/// How this server shows itself to kubelets, and whom it takes for one.
pub struct KubeletClient {
    tls: ArcSwap<ClientConfig>,
}

/// Where a kubelet listens.
pub struct Node {
    pub host: String,
    pub port: u16,
}

impl Node {
    /// `https://HOST:PORT` and a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.authority())
    }

    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl KubeletClient {
    /// From PEM: the CA of the kubelets' serving certificates, and the server's client certificate and key.
    pub fn from_pem(ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<Arc<Self>, KubeletClientError> {
        Ok(Arc::new(Self { tls: ArcSwap::from_pointee(config(ca, certificate, key)?) }))
    }

    /// Takes other credentials, for connections made from now on.
    pub fn swap(&self, ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<(), KubeletClientError> {
        self.tls.store(Arc::new(config(ca, certificate, key)?));
        Ok(())
    }

    /// Sends one request on a connection of its own; upgrades are possible.
    pub async fn send(
        &self,
        node: &Node,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, KubeletClientError> {
        let mut sender = self.connect(node).await?;
        if let Ok(host) = http::HeaderValue::from_str(&node.authority()) {
            request.headers_mut().insert(http::header::HOST, host);
        }
        Ok(sender.send_request(request).await?)
    }

    /// A connection to a pod of the node, by HTTP CONNECT.
    pub async fn tunnel(&self, node: &Node, address: SocketAddr) -> Result<TokioIo<Upgraded>, TunnelError> {
        let mut sender = self.connect(node).await?;
        let target = address.to_string();
        let request = Request::connect(&target).header(http::header::HOST, &target).body(Body::empty());
        let request = request.map_err(|error| TunnelError::Refused(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(KubeletClientError::from)?;
        match response.status() {
            StatusCode::OK => {
                let upgraded = hyper::upgrade::on(response).await.map_err(KubeletClientError::from)?;
                Ok(TokioIo::new(upgraded))
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Err(TunnelError::Unknown),
            _ => Err(TunnelError::Refused(refusal(response).await)),
        }
    }

    async fn connect(&self, node: &Node) -> Result<SendRequest<Body>, KubeletClientError> {
        let connect = async {
            let tcp = TcpStream::connect((node.host.as_str(), node.port)).await?;
            tcp.set_nodelay(true)?;
            let name = ServerName::try_from(node.host.clone())
                .map_err(|_| KubeletClientError::Name(node.host.clone()))?;
            Ok::<_, KubeletClientError>(TlsConnector::from(self.tls.load_full()).connect(name, tcp).await?)
        };
        let stream =
            tokio::time::timeout(CONNECT, connect).await.map_err(|_| KubeletClientError::TimedOut)??;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

/// What a kubelet says in refusing.
pub(super) async fn refusal(response: Response<Incoming>) -> String {
    let body = http_body_util::Limited::new(response.into_body(), REFUSAL).collect().await;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

fn config(ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<ClientConfig, KubeletClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_from_pem(ca)? {
        roots.add(certificate)?;
    }
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates_from_pem(certificate)?, key_from_pem(key)?)?)
}
