//! WebSockets (RFC 6455) for what is streamed: the handshake, and an orderly end. The frames are tungstenite's; what
//! the messages mean is said where they are used. A client that wants none is not concerned by anything here.

mod bearer;
pub mod messages;

pub use bearer::take_token;

use crate::respond::Reply;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use keelson_api::status::Status;
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

/// What a key is hashed with (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The only version there is.
const VERSION: &str = "13";
/// Bytes of a message that a client may send: somebody may paste a file into a terminal.
const MESSAGE_MAX: usize = 16 << 20;
/// How long a client has to answer the end of a connection.
const LINGER: Duration = Duration::from_secs(5);

/// An open connection.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;
/// Its two directions.
pub type Sink = SplitSink<Socket, Message>;
pub type Source = SplitStream<Socket>;

/// Whether a head asks for a WebSocket.
pub fn asked(headers: &HeaderMap) -> bool {
    let lists = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let socket = lists(UPGRADE).any(|value| value.trim().eq_ignore_ascii_case("websocket"));
    let words = lists(CONNECTION).flat_map(|value| value.split(','));
    socket && words.into_iter().any(|word| word.trim().eq_ignore_ascii_case("upgrade"))
}

/// The subprotocols that a client offers, the one it likes best first.
pub fn offered(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// A request for a WebSocket that can be granted.
pub struct Asked {
    upgrade: OnUpgrade,
    accept: HeaderValue,
    offered: Vec<String>,
}

impl Asked {
    /// Takes the connection off a request that asks for a WebSocket; `None` when it asks for none.
    pub fn take(parts: &mut Parts) -> Result<Option<Self>, Status> {
        if !asked(&parts.headers) {
            return Ok(None);
        }
        let accept = accept(&parts.method, &parts.headers).map_err(Status::bad_request)?;
        let offered = offered(&parts.headers).into_iter().map(str::to_owned).collect();
        let upgrade = parts
            .extensions
            .remove::<OnUpgrade>()
            .ok_or_else(|| Status::bad_request("unable to upgrade: this connection cannot be upgraded"))?;
        Ok(Some(Self { upgrade, accept, offered }))
    }

    /// The first subprotocol offered that is one of `served`; an empty one there is for clients that offer none.
    pub fn choose<'a>(&self, served: &[&'a str]) -> Result<&'a str, Status> {
        let find = |name: &str| served.iter().copied().find(|one| *one == name);
        let found =
            if self.offered.is_empty() { find("") } else { self.offered.iter().find_map(|n| find(n)) };
        found.ok_or_else(|| {
            Status::bad_request(format!(
                "unable to upgrade: none of the subprotocols {:?} is served here, only {served:?}",
                self.offered
            ))
        })
    }

    /// Grants it: the reply for the client, and the connection that opens once it is sent. `protocol` may be empty.
    pub fn grant(self, protocol: &str) -> (Opening, Reply) {
        let mut reply = Response::new(Body::empty());
        *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = reply.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Ok(protocol) = HeaderValue::from_str(protocol)
            && !protocol.is_empty()
        {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        (Opening(self.upgrade), reply)
    }
}

/// Whether a handshake that is handed on is well formed: the one who grants it gets no chance to refuse plainly.
pub fn check(method: &Method, headers: &HeaderMap) -> Result<(), Status> {
    accept(method, headers).map(drop).map_err(Status::bad_request)
}

/// What proves that the request was understood (RFC 6455, 4.2.2); else what is wrong with it.
fn accept(method: &Method, headers: &HeaderMap) -> Result<HeaderValue, String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    if *method != Method::GET {
        return Err(format!("a WebSocket is asked for by GET, not by {method}"));
    }
    let version = text(SEC_WEBSOCKET_VERSION);
    if version != VERSION {
        return Err(format!("Sec-WebSocket-Version: {version:?}: only {VERSION} is spoken"));
    }
    let key = text(SEC_WEBSOCKET_KEY);
    if STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16) {
        let hash =
            ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
        return HeaderValue::from_str(&STANDARD.encode(hash)).map_err(|error| error.to_string());
    }
    Err(format!("Sec-WebSocket-Key: {key:?}: it must be 16 bytes in base64"))
}

/// A connection that has been granted and not begun.
pub struct Opening(OnUpgrade);

impl Opening {
    /// The connection; `None` when the client has gone.
    pub async fn open(self) -> Option<(Sink, Source)> {
        let upgraded = self.0.await.ok()?;
        let config =
            WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        Some(socket.split())
    }
}

/// Ends a connection in order: the client is told, and has a moment to say that it heard. To drop a connection on
/// which something waits to be read would take from the client what it has not read yet.
pub async fn close(mut sink: Sink, mut source: Source) {
    // Clients take an end without a code for a cut.
    let end = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    let farewell = async {
        // A client that is gone already has been told.
        let _ = sink.send(Message::Close(Some(end))).await;
        while let Some(Ok(_)) = source.next().await {}
    };
    let _ = tokio::time::timeout(LINGER, farewell).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn who_asks() {
        let check = |pairs: &[(&'static str, &'static str)], want: bool| {
            assert_eq!(asked(&map(pairs)), want, "{pairs:?}");
        };
        check(&[("connection", "Upgrade"), ("upgrade", "websocket")], true);
        check(&[("connection", "keep-alive, upgrade"), ("upgrade", "WebSocket")], true);
        check(&[("connection", "keep-alive"), ("connection", "upgrade"), ("upgrade", "websocket")], true);
        check(&[("upgrade", "websocket")], false);
        check(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")], false);
        check(&[("connection", "Upgrade")], false);
    }

    #[test]
    fn subprotocols_in_their_order() {
        let headers = map(&[
            ("sec-websocket-protocol", "b.k8s.io, a.k8s.io"),
            ("sec-websocket-protocol", " ,v5.channel.k8s.io"),
        ]);
        assert_eq!(offered(&headers), ["b.k8s.io", "a.k8s.io", "v5.channel.k8s.io"]);
        assert!(offered(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn handshakes() {
        let check = |method: Method, version: &'static str, key: &'static str, want: Result<&str, &str>| {
            let headers = map(&[("sec-websocket-version", version), ("sec-websocket-key", key)]);
            let got = accept(&method, &headers);
            let got = got.as_ref().map(|value| value.to_str().unwrap()).map_err(String::as_str);
            assert_eq!(got, want);
        };
        // The example of RFC 6455, 1.3.
        check(Method::GET, "13", "dGhlIHNhbXBsZSBub25jZQ==", Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        check(
            Method::POST,
            "13",
            "dGhlIHNhbXBsZSBub25jZQ==",
            Err("a WebSocket is asked for by GET, not by POST"),
        );
        check(
            Method::GET,
            "8",
            "dGhlIHNhbXBsZSBub25jZQ==",
            Err("Sec-WebSocket-Version: \"8\": only 13 is spoken"),
        );
        check(
            Method::GET,
            "13",
            "dGhlIHM=",
            Err("Sec-WebSocket-Key: \"dGhlIHM=\": it must be 16 bytes in base64"),
        );
        check(Method::GET, "13", "", Err("Sec-WebSocket-Key: \"\": it must be 16 bytes in base64"));
    }
}
