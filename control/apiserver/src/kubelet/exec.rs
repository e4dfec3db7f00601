//! Exec, attach and port-forward: the client's upgraded connection joined to the kubelet's. SPDY and the older
//! WebSocket protocols pass as bytes; the newer ones are made SPDY here.

use super::channel::V5;
use super::session::Streams;
use super::translate::Remote;
use super::{Node, Target, client, container, node, tunnel as forward, unreachable};
use crate::request::query;
use crate::respond::{self, Reply};
use crate::websocket::{self, Asked};
use axum::body::Body;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use keelson_api::status::Status;
use serde_json::Value;
use std::sync::Arc;

/// The protocols within SPDY that a caller offers, and the one that is chosen.
pub(super) const PROTOCOLS: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// What passes of a request's and a reply's head. Extensions of WebSockets are not offered on: nobody has one.
const HEADERS: [HeaderName; 7] = [
    CONNECTION,
    UPGRADE,
    PROTOCOLS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_ACCEPT,
];
/// Parameters that the kubelet understands, with the names that it knows them by.
const PASSED: [(&str, &str); 5] =
    [("command", "command"), ("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")];

/// Runs a command in a container.
pub async fn exec(target: &Target<'_>, pod: &Value, request: Request<Body>) -> Result<Reply, Status> {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Status::bad_request(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    in_container(target, pod, request, "exec").await
}

/// Joins what a container runs already.
pub async fn attach(target: &Target<'_>, pod: &Value, request: Request<Body>) -> Result<Reply, Status> {
    in_container(target, pod, request, "attach").await
}

async fn in_container(
    target: &Target<'_>,
    pod: &Value,
    request: Request<Body>,
    what: &str,
) -> Result<Reply, Status> {
    let query = request.uri().query().unwrap_or_default();
    let container = container(target, pod, &query::first(query, "container").unwrap_or_default())?;
    let path = path(target, what, &container, query);
    if websocket::asked(request.headers()) && websocket::offered(request.headers()).contains(&V5) {
        let streams = Streams::parse(query);
        return translate(target, pod, request, path, streams);
    }
    connect(target, pod, request, &path).await
}

/// Makes SPDY of a WebSocket. The client hears of what goes wrong with the kubelet on its channel of errors.
fn translate(
    target: &Target<'_>,
    pod: &Value,
    request: Request<Body>,
    path: String,
    streams: Streams,
) -> Result<Reply, Status> {
    let (node, client) = (node(target, pod)?, client(target)?);
    let asked = Asked::take(&mut request.into_parts().0)?.ok_or_else(unasked)?;
    let (opening, reply) = asked.grant(V5);
    let remote = Remote { client, node, path, streams };
    tokio::spawn(remote.run(opening, target.core.metrics.start_long(), Arc::clone(target.core)));
    Ok(reply)
}

/// Connects to ports of a pod. The streams themselves name the ports, except in the older WebSocket protocols.
pub async fn port_forward(target: &Target<'_>, pod: &Value, request: Request<Body>) -> Result<Reply, Status> {
    let mut path = format!("/portForward/{}/{}", target.namespace, target.name);
    if !forward::offered(request.headers()).is_empty() {
        return tunneled(target, pod, request, &path).await;
    }
    if websocket::asked(request.headers()) {
        path.push_str(&ports(request.uri().query().unwrap_or_default())?);
    }
    connect(target, pod, request, &path).await
}

/// The kubelet's query for the ports that a query names.
fn ports(query: &str) -> Result<String, Status> {
    let mut out = String::new();
    for (_, value) in query::pairs(query).filter(|(key, _)| key == "ports") {
        let port: u16 = value.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            Status::bad_request(format!("ports: {value:?}: it must be the number of a port, 1 to 65535"))
        })?;
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(&format!("port={port}"));
    }
    Ok(out)
}

/// Carries SPDY in a WebSocket.
async fn tunneled(
    target: &Target<'_>,
    pod: &Value,
    request: Request<Body>,
    path: &str,
) -> Result<Reply, Status> {
    let node = node(target, pod)?;
    let (mut parts, _) = request.into_parts();
    let mut inner = HeaderMap::new();
    inner.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    inner.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    for name in forward::offered(&parts.headers) {
        inner.append(PROTOCOLS, HeaderValue::from_str(name).map_err(Status::internal)?);
    }
    // A handshake that is no good must not reach the kubelet.
    let asked = Asked::take(&mut parts)?.ok_or_else(unasked)?;
    let mut response = match send(target, &node, &inner, path).await? {
        Kubelet::Switched(response) => response,
        Kubelet::Refused(reply) => return Ok(reply),
    };
    let kubelet_side = hyper::upgrade::on(&mut response);
    let (opening, reply) = asked.grant(&forward::agreed(response.headers()));
    let running = target.core.metrics.start_long();
    tokio::spawn(forward::run(opening, kubelet_side, running, Arc::clone(target.core)));
    Ok(reply)
}

/// Joins the client's connection to one to the kubelet at `path`.
async fn connect(
    target: &Target<'_>,
    pod: &Value,
    mut request: Request<Body>,
    path: &str,
) -> Result<Reply, Status> {
    if !is_spdy(request.headers()) && !websocket::asked(request.headers()) {
        return Err(unasked());
    }
    if websocket::asked(request.headers()) {
        websocket::check(request.method(), request.headers())?;
    }
    let node = node(target, pod)?;
    let client_side = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or_else(|| Status::bad_request("unable to upgrade: this connection cannot be upgraded"))?;
    let mut response = match send(target, &node, request.headers(), path).await? {
        Kubelet::Switched(response) => response,
        Kubelet::Refused(reply) => return Ok(reply),
    };
    let kubelet_side = hyper::upgrade::on(&mut response);
    tokio::spawn(tunnel(
        client_side,
        kubelet_side,
        target.core.metrics.start_long(),
        Arc::clone(target.core),
    ));
    let mut reply = respond::text(StatusCode::SWITCHING_PROTOCOLS, Body::empty());
    *reply.headers_mut() = passed(response.headers());
    Ok(reply)
}

fn unasked() -> Status {
    Status::bad_request("Upgrade request required: SPDY/3.1 or websocket")
}

/// What a kubelet answers.
enum Kubelet {
    Switched(Response<Incoming>),
    /// As the client is to see it.
    Refused(Reply),
}

async fn send(target: &Target<'_>, node: &Node, headers: &HeaderMap, path: &str) -> Result<Kubelet, Status> {
    let onward = onward(headers, path)?;
    let response = client(target)?.send(node, onward).await;
    let response = response.map_err(|error| unreachable(&node.url(path), &error))?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Kubelet::Switched(response));
    }
    let (parts, body) = response.into_parts();
    Ok(Kubelet::Refused(Response::from_parts(strip(parts), Body::new(body))))
}

fn is_spdy(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().starts_with("spdy/"))
}

/// The request as the kubelet sees it.
fn onward(headers: &HeaderMap, path: &str) -> Result<Request<Body>, Status> {
    // A WebSocket is asked for by GET.
    let method = if websocket::asked(headers) { Method::GET } else { Method::POST };
    let mut request = Request::builder().uri(path).body(Body::empty()).map_err(Status::internal)?;
    *request.headers_mut() = passed(headers);
    if method == Method::POST {
        request.headers_mut().insert(http::header::CONTENT_LENGTH, 0.into());
    }
    *request.method_mut() = method;
    Ok(request)
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for name in HEADERS {
        for value in headers.get_all(&name) {
            passed.append(&name, value.clone());
        }
    }
    passed
}

/// Drops headers that were about the kubelet's connection only.
fn strip(mut parts: http::response::Parts) -> http::response::Parts {
    for name in [CONNECTION, UPGRADE, http::header::TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    parts
}

/// The kubelet's path for an exec or attach.
fn path(target: &Target<'_>, what: &str, container: &str, query: &str) -> String {
    let mut path = format!("/{what}/{}/{}/{container}", target.namespace, target.name);
    let mut separator = '?';
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, "true"));
        let Some((_, theirs)) = PASSED.iter().find(|(ours, _)| *ours == key) else { continue };
        let value = match (key, query::truthy(value)) {
            ("command", _) => value,
            (_, true) => "1",
            (_, false) => continue,
        };
        path.push(separator);
        path.push_str(theirs);
        path.push('=');
        path.push_str(value);
        separator = '&';
    }
    path
}

/// Carries bytes both ways until either side ends.
pub(crate) async fn tunnel(
    client: OnUpgrade,
    kubelet: OnUpgrade,
    running: crate::metrics::LongRunning,
    core: Arc<crate::server::Core>,
) {
    let (Ok(client), Ok(kubelet)) = (client.await, kubelet.await) else { return };
    let (mut client, mut kubelet) = (TokioIo::new(client), TokioIo::new(kubelet));
    tokio::select! {
        // Either side may cut the connection at any time; there is nobody left to tell.
        _ = tokio::io::copy_bidirectional(&mut client, &mut kubelet) => {}
        () = core.shutdown.cancelled() => {}
    }
    drop(running);
}
