//! Port-forward over a WebSocket (KEP-4006): its messages are the bytes of the SPDY connection that the client would
//! otherwise have made, whole frames or not.

use super::exec::PROTOCOLS;
use super::write;
use crate::metrics::LongRunning;
use crate::server::Core;
use crate::websocket::{self, Opening, Sink, Source};
use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use http::HeaderMap;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_tungstenite::tungstenite::protocol::Message;

/// What such a subprotocol begins with; the rest is the protocol spoken in SPDY.
const PREFIX: &str = "SPDY/3.1+";
/// Bytes read at once.
const READ: usize = 32 * 1024;

/// The protocols within SPDY that a client offers to tunnel; none when it does not want a tunnel.
pub fn offered(headers: &HeaderMap) -> Vec<&str> {
    if !websocket::asked(headers) {
        return Vec::new();
    }
    let inner = |name| str::strip_prefix(name, PREFIX).filter(|inner| inner.ends_with(".k8s.io"));
    websocket::offered(headers).into_iter().filter_map(inner).collect()
}

/// The subprotocol for the protocol that the kubelet has chosen.
pub fn agreed(kubelet: &HeaderMap) -> String {
    let inner = kubelet.get(PROTOCOLS).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    if inner.is_empty() { String::new() } else { format!("{PREFIX}{inner}") }
}

/// Carries bytes both ways until either side ends.
pub async fn run(opening: Opening, kubelet: OnUpgrade, running: LongRunning, core: Arc<Core>) {
    let Some((mut sink, mut source)) = opening.open().await else { return };
    let Ok(kubelet) = kubelet.await else { return };
    let (reader, writer) = tokio::io::split(TokioIo::new(kubelet));
    let by_kubelet = tokio::select! {
        () = out(reader, &mut sink) => true,
        () = into(&mut source, writer) => false,
        () = core.shutdown.cancelled() => false,
    };
    drop(running);
    if by_kubelet {
        websocket::close(sink, source).await;
    }
}

/// Either side may cut the connection at any time; there is nobody left to tell.
async fn out(mut kubelet: impl AsyncRead + Unpin, sink: &mut Sink) {
    let mut read = BytesMut::with_capacity(READ);
    while let Ok(1..) = kubelet.read_buf(&mut read).await {
        if sink.send(Message::Binary(read.split().freeze())).await.is_err() {
            return;
        }
        read.reserve(READ);
    }
}

async fn into(source: &mut Source, mut kubelet: impl AsyncWrite + Unpin) {
    while let Some(Ok(message)) = source.next().await {
        let sent = match message {
            Message::Binary(bytes) => write(&mut kubelet, &bytes).await,
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            // SPDY is no text.
            Message::Text(_) | Message::Close(_) | Message::Frame(_) => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols() {
        let check = |upgrade: &str, protocols: &str, want: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert("connection", "Upgrade".parse().unwrap());
            headers.insert("upgrade", upgrade.parse().unwrap());
            headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
            assert_eq!(offered(&headers), want, "{protocols}");
        };
        let usual = "SPDY/3.1+portforward.k8s.io";
        check("websocket", usual, &["portforward.k8s.io"]);
        check("websocket", &format!("x, {usual}, SPDY/3.1+v2.k8s.io"), &["portforward.k8s.io", "v2.k8s.io"]);
        check("websocket", "v4.channel.k8s.io, SPDY/3.1+other, portforward.k8s.io", &[]);
        check("SPDY/3.1", usual, &[]);
        let mut kubelet = HeaderMap::new();
        assert_eq!(agreed(&kubelet), "");
        kubelet.insert(PROTOCOLS, "portforward.k8s.io".parse().unwrap());
        assert_eq!(agreed(&kubelet), usual);
    }
}
