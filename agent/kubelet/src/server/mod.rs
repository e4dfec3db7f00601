//! The kubelet's own HTTPS server: what the API server and scrapers ask a node.
//!
//! Nobody is served without a client certificate of the cluster's CA (or a token that the API vouches for) and
//! the permission that the request needs.

mod access;
mod connect;
mod exec;
mod logs;
mod query;
mod show;
mod tls;
mod tunnel;

pub use tls::{ServingTls, TlsError};

use crate::actions::Context;
use crate::run::Directory;
use access::Caller;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::CertificateDer;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections that are served at the same time.
const CONNECTIONS_MAX: usize = 1024;
/// A client that does not finish its handshake by then is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

pub(crate) struct Server {
    context: Arc<Context>,
    directory: Arc<Directory>,
}

/// Serves until the task is aborted.
pub(crate) async fn serve(
    context: Arc<Context>,
    directory: Arc<Directory>,
    listener: TcpListener,
    tls: ServingTls,
) {
    let server = Arc::new(Server { context, directory });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let acceptor = tokio_rustls::TlsAcceptor::from(tls.server_config());
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the kubelet server cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (server, acceptor) = (Arc::clone(&server), acceptor.clone());
        tokio::spawn(async move {
            connection(server, acceptor, stream).await;
            drop(place);
        });
    }
}

async fn connection(server: Arc<Server>, acceptor: tokio_rustls::TlsAcceptor, stream: TcpStream) {
    // Latency of single keystrokes matters, throughput of tiny segments does not.
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let certificate: Option<CertificateDer<'static>> =
        stream.get_ref().1.peer_certificates().and_then(|c| c.first()).map(|c| c.clone().into_owned());
    let caller = certificate.as_ref().and_then(|c| access::identity(c));
    let service = hyper::service::service_fn(move |request| {
        let (server, caller) = (Arc::clone(&server), caller.clone());
        async move { Ok::<_, Infallible>(server.answer(request, caller).await) }
    });
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    if let Err(error) = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection ended badly");
    }
}

impl Server {
    async fn answer(&self, request: Request<Incoming>, caller: Option<Caller>) -> Response<Body> {
        let caller = match caller {
            Some(caller) => Some(caller),
            None => access::by_token(&self.context.client, request.headers()).await,
        };
        let Some(caller) = caller else { return text(StatusCode::UNAUTHORIZED, "Unauthorized") };
        let path = request.uri().path().to_owned();
        if let Err(refusal) = access::check(&self.context, &caller, request.method(), &path).await {
            return text(StatusCode::FORBIDDEN, &refusal);
        }
        if request.method() == Method::CONNECT {
            return connect::connect(&self.context, &self.directory, request).await;
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let get = request.method() == Method::GET;
        match parts.as_slice() {
            ["healthz"] if get => text(StatusCode::OK, "ok"),
            ["metrics"] if get => show::metrics(&self.directory),
            ["pods"] if get => show::pods(&self.directory),
            ["containerLogs", namespace, pod, container] if get => logs::answer(
                &self.context,
                &self.directory,
                logs::Target { namespace, pod, container },
                request.uri(),
            ),
            ["exec", namespace, pod, container] => {
                let target = exec::Target { namespace, pod, container };
                exec::exec(&self.context, &self.directory, &target, request).await
            }
            ["attach", namespace, pod, container] => {
                let target = exec::Target { namespace, pod, container };
                exec::attach(&self.context, &self.directory, &target, request).await
            }
            ["portForward", namespace, pod] => {
                let target = exec::Target { namespace, pod, container: "" };
                exec::port_forward(&self.context, &self.directory, &target, request).await
            }
            _ => text(StatusCode::NOT_FOUND, "404 page not found"),
        }
    }
}

/// A plain-text reply.
pub(crate) fn text(status: StatusCode, message: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(format!("{message}\n"))).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
