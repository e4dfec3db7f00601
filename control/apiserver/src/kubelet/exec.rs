//! Exec, attach and port-forward: the client's upgraded connection joined to the kubelet's.

use super::{Target, client, container, node, unreachable};
use crate::request::query;
use crate::respond::{self, Reply};
use axum::body::Body;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use keelson_api::status::Status;
use serde_json::Value;
use std::sync::Arc;

const PROTOCOLS: HeaderName = HeaderName::from_static("x-stream-protocol-version");
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
    connect(target, pod, request, &path).await
}

/// Connects to ports of a pod, which the streams themselves name.
pub async fn port_forward(target: &Target<'_>, pod: &Value, request: Request<Body>) -> Result<Reply, Status> {
    let path = format!("/portForward/{}/{}", target.namespace, target.name);
    connect(target, pod, request, &path).await
}

/// Joins the client's connection to one to the kubelet at `path`.
async fn connect(
    target: &Target<'_>,
    pod: &Value,
    mut request: Request<Body>,
    path: &str,
) -> Result<Reply, Status> {
    if !is_spdy(request.headers()) {
        // Clients that try WebSockets first take any refusal as a hint to fall back.
        return Err(Status::bad_request("Upgrade request required: SPDY/3.1"));
    }
    let node = node(target, pod)?;
    let url = node.url(path);
    let client_side = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or_else(|| Status::bad_request("unable to upgrade: this connection cannot be upgraded"))?;
    let onward = onward(request.headers(), path)?;
    let mut response =
        client(target)?.send(&node, onward).await.map_err(|error| unreachable(&url, &error))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (parts, body) = response.into_parts();
        return Ok(Response::from_parts(strip(parts), Body::new(body)));
    }
    let kubelet_side = hyper::upgrade::on(&mut response);
    tokio::spawn(tunnel(
        client_side,
        kubelet_side,
        target.core.metrics.start_long(),
        Arc::clone(target.core),
    ));
    let mut reply = respond::text(StatusCode::SWITCHING_PROTOCOLS, Body::empty());
    *reply.headers_mut() = HeaderMap::new();
    for name in [CONNECTION, UPGRADE, PROTOCOLS] {
        for value in response.headers().get_all(&name) {
            reply.headers_mut().append(&name, value.clone());
        }
    }
    Ok(reply)
}

fn is_spdy(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().starts_with("spdy/"))
}

/// The request as the kubelet sees it.
fn onward(headers: &HeaderMap, path: &str) -> Result<Request<Body>, Status> {
    let mut request =
        Request::builder().method(Method::POST).uri(path).body(Body::empty()).map_err(Status::internal)?;
    for name in [CONNECTION, UPGRADE, PROTOCOLS] {
        for value in headers.get_all(&name) {
            request.headers_mut().append(&name, value.clone());
        }
    }
    request.headers_mut().insert(http::header::CONTENT_LENGTH, 0.into());
    Ok(request)
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
