//! The TLS listener: accepts, shakes hands, hands each connection to hyper, and ends them all on shutdown.
//! Never looks at a request beyond what the connection itself needs.

mod connection;
mod cork;
pub mod tls;

use crate::server::ApiServer;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tls::ServerCertificate;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long open requests may go on after shutdown has begun.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {0}: the port is in use by another process; stop it or choose another port")]
    InUse(SocketAddr),
    #[error("cannot listen on {0}: not allowed; ports below 1024 need privileges")]
    NotAllowed(SocketAddr),
    #[error("cannot listen on {0}: this machine has no such address")]
    NoSuchAddress(SocketAddr),
    #[error("cannot listen on {address}: {source}")]
    Other { address: SocketAddr, source: io::Error },
}

/// Opens the server's port.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address),
        io::ErrorKind::PermissionDenied => BindError::NotAllowed(address),
        io::ErrorKind::AddrNotAvailable => BindError::NoSuchAddress(address),
        _ => BindError::Other { address, source },
    })
}

/// Serves until the server's shutdown begins, then lets open requests finish for a while.
pub async fn serve(server: &ApiServer, listener: TcpListener, certificate: Arc<ServerCertificate>) {
    let acceptor = tokio_rustls::TlsAcceptor::from(tls::server_config(certificate));
    let tasks = TaskTracker::new();
    // Cut when the time for draining is over.
    let cut = CancellationToken::new();
    let stop = server.shutdown_token();
    let http = connection::builder();
    let service = server.tls_service();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors or a connection that died in the queue: others may still come.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (acceptor, http, service) = (acceptor.clone(), http.clone(), service.clone());
        // Children: each connection looks at its own, not all at one.
        let (stop, cut) = (stop.child_token(), cut.child_token());
        tasks.spawn(async move {
            // Replies are written whole; waiting to fill segments only adds latency.
            let _ = stream.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => connection::run(stream, http, service, stop, cut).await,
                _ => service.handshake_failed(),
            }
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        cut.cancel();
        tasks.wait().await;
    }
}
