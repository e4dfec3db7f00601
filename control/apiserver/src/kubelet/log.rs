//! Logs of a container, streamed as they come.

use super::{Target, client, container, node, unreachable};
use crate::request::query;
use crate::respond::{self, Reply};
use crate::websocket::{Asked, messages};
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use keelson_api::field::{FieldError, FieldErrors, Path};
use keelson_api::status::Status;
use serde_json::Value;

/// Parameters that the kubelet understands.
const PASSED: [&str; 9] = [
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
    "stream",
    "pretty",
];
/// Bytes of a kubelet's error that are passed on.
const ERROR_BYTES: usize = 64 * 1024;

/// The log, as a body or over a WebSocket.
pub async fn answer(target: &Target<'_>, pod: &Value, request: Request<Body>) -> Result<Reply, Status> {
    let (mut parts, _) = request.into_parts();
    let asked = Asked::take(&mut parts)?;
    let reply = log(target, pod, parts.uri.query().unwrap_or_default()).await?;
    match asked {
        Some(asked) => messages::bytes(asked, reply, target.core),
        None => Ok(reply),
    }
}

async fn log(target: &Target<'_>, pod: &Value, query: &str) -> Result<Reply, Status> {
    check(target.name, query)?;
    let asked = query::first(query, "container").unwrap_or_default();
    let container = container(target, pod, &asked)?;
    if pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
        // Not scheduled yet: there is nothing to show, and that is no error.
        return Ok(respond::text(StatusCode::OK, ""));
    }
    let node = node(target, pod)?;
    let path = path(target, &container, query);
    let url = node.url(&path);
    let request =
        Request::builder().method(Method::GET).uri(&path).body(Body::empty()).map_err(Status::internal)?;
    let response = client(target)?.send(&node, request).await.map_err(|error| match error {
        super::KubeletClientError::Connect(_) | super::KubeletClientError::TimedOut => {
            Status::internal(format!("Get \"{url}\": {error}"))
        }
        error => unreachable(&url, &error),
    })?;
    let status = response.status();
    if !status.is_success() {
        return Err(failure(status, response.into_body()).await);
    }
    let metrics = target.core.metrics.start_long();
    let shutdown = target.core.shutdown.clone();
    let lines = futures::stream::unfold((response.into_body(), metrics), move |(mut body, metrics)| {
        let shutdown = shutdown.clone();
        async move {
            loop {
                let frame = tokio::select! {
                    () = shutdown.cancelled() => return None,
                    frame = body.frame() => frame?,
                };
                match frame {
                    Ok(frame) => {
                        if let Ok(data) = frame.into_data() {
                            return Some((Ok(data), (body, metrics)));
                        }
                    }
                    Err(error) => return Some((Err(error), (body, metrics))),
                }
            }
        }
    });
    let mut reply = respond::text(StatusCode::OK, Body::from_stream(lines));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(reply)
}

/// The kubelet's path for a container's log.
fn path(target: &Target<'_>, container: &str, query: &str) -> String {
    let mut path = format!("/containerLogs/{}/{}/{container}", target.namespace, target.name);
    let mut separator = '?';
    for pair in query.split('&') {
        let key = pair.split('=').next().unwrap_or_default();
        if PASSED.contains(&key) {
            path.push(separator);
            path.push_str(pair);
            separator = '&';
        }
    }
    path
}

/// The rules of PodLogOptions.
fn check(name: &str, query: &str) -> Result<(), Status> {
    let mut errors = FieldErrors::new();
    let number = |field: &str| query::first(query, field).map(|v| v.parse::<i64>());
    let mut at_least = |field: &'static str, least: i64, why: &'static str| match number(field) {
        Some(Ok(value)) if value < least => {
            errors.push(FieldError::invalid(&Path::new(field), value, why));
        }
        _ => {}
    };
    at_least("tailLines", 0, "must be greater than or equal to 0");
    at_least("limitBytes", 1, "must be greater than 0");
    at_least("sinceSeconds", 1, "must be greater than 0");
    let both = query::first(query, "sinceSeconds").is_some() && query::first(query, "sinceTime").is_some();
    if both {
        let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        errors.push(FieldError::forbidden(&Path::new(""), why));
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid("", "PodLogOptions", name, &errors)) }
}

/// What the kubelet says is wrong, with the code it gave.
async fn failure(code: StatusCode, body: hyper::body::Incoming) -> Status {
    let text = match http_body_util::Limited::new(body, ERROR_BYTES).collect().await {
        Ok(collected) => String::from_utf8_lossy(&collected.to_bytes()).trim().to_owned(),
        Err(_) => String::new(),
    };
    match code {
        StatusCode::BAD_REQUEST => Status::bad_request(text),
        StatusCode::NOT_FOUND => respond::unserved(
            404,
            "NotFound",
            &format!("the server could not find the requested resource ({text})"),
        ),
        code => Status::new(500, "InternalError", format!("kubelet answered {}: {text}", code.as_u16())),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn options() {
        let check = |query: &str, want: &str| {
            let got = super::check("p", query).err().map(|s| s.message).unwrap_or_default();
            assert_eq!(got, want, "{query}");
        };
        check("tailLines=0&limitBytes=1", "");
        check(
            "tailLines=-1",
            "PodLogOptions \"p\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
        );
        check(
            "limitBytes=0",
            "PodLogOptions \"p\" is invalid: limitBytes: Invalid value: 0: must be greater than 0",
        );
    }
}
