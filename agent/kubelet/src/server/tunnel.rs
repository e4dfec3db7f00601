//! Carries an upgraded connection between a caller and the runtime's streaming server, byte for byte.

use super::{Body, text};
use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

/// The streaming server is on this machine.
const ANSWER: Duration = Duration::from_secs(30);
/// As much of a refusal as is passed on.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// What passes of a request's head.
const HEADERS: [HeaderName; 6] = [
    CONNECTION,
    UPGRADE,
    HeaderName::from_static("x-stream-protocol-version"),
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    SEC_WEBSOCKET_PROTOCOL,
];

/// Whether a head asks for a protocol that runtimes speak. Which WebSocket protocols they have is theirs to say.
fn is_known(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(UPGRADE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let upgrade = upgrade.trim().to_ascii_lowercase();
    upgrade.starts_with("spdy/") || upgrade == "websocket"
}

/// Repeats the request at `url` and joins the two connections once both have changed protocol.
pub(super) async fn upgrade(url: &str, request: Request<Incoming>) -> Response<Body> {
    if !is_known(request.headers()) {
        let message = "unable to upgrade: only the SPDY/3.1 and websocket protocols are served";
        return text(StatusCode::BAD_REQUEST, message);
    }
    match tokio::time::timeout(ANSWER, exchange(url, request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(message)) => text(StatusCode::INTERNAL_SERVER_ERROR, &message),
        Err(_) => text(StatusCode::GATEWAY_TIMEOUT, "the runtime's streaming server does not answer"),
    }
}

async fn exchange(url: &str, mut request: Request<Incoming>) -> Result<Response<Body>, String> {
    let uri: Uri = url.parse().map_err(|e| format!("the runtime's address {url}: {e}"))?;
    let authority = uri.authority().ok_or_else(|| format!("the runtime's address {url} names no host"))?;
    let address = (authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(|e| format!("dial {authority}: {e}"))?;
    // Keystrokes are small and wait for nobody.
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection.with_upgrades());
    let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let mut onward =
        Request::builder().method(request.method().clone()).uri(path).header(HOST, authority.as_str());
    for name in HEADERS {
        for value in request.headers().get_all(&name) {
            onward = onward.header(&name, value);
        }
    }
    let onward = onward.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let caller = hyper::upgrade::on(&mut request);
    let mut reply = sender.send_request(onward).await.map_err(|e| e.to_string())?;
    if reply.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = reply.status();
        let body = Limited::new(reply.into_body(), REFUSAL_BYTES_MAX).collect().await;
        let body = body.map(|b| b.to_bytes()).unwrap_or_default();
        return Ok(text(status, &String::from_utf8_lossy(&body)));
    }
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = reply.headers().clone();
    let runtime = hyper::upgrade::on(&mut reply);
    tokio::spawn(async move {
        let (caller, runtime) = match tokio::try_join!(caller, runtime) {
            Ok(both) => both,
            Err(error) => {
                tracing::debug!(%error, "an upgrade failed");
                return;
            }
        };
        let (mut caller, mut runtime) = (TokioIo::new(caller), TokioIo::new(runtime));
        // A side that goes away in the middle is the usual end of a session.
        let _ = tokio::io::copy_bidirectional(&mut caller, &mut runtime).await;
    });
    Ok(response)
}
