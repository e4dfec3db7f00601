//! Connections to backends: to pods through the kubelet of their node, as this server need not have a route to
//! them; to anything else from here.

use super::target::Place;
use crate::kubelet::{self, TunnelError};
use crate::server::Core;
use keelson_api::status::Status;
use keelson_client::unverified;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
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
    let connected = TlsConnector::from(unverified::config()).connect(name, stream);
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
