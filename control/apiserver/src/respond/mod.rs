//! Replies: objects, Status errors, warnings, compression. Never decides what is answered.

pub mod gzip;
pub mod negotiate;
pub mod pretty;
pub mod table;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use keelson_api::status::Status;
use negotiate::{Accept, Format};
use serde_json::{Value, json};

/// What every handler answers with.
pub type Reply = Response<Body>;

pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
const YAML: HeaderValue = HeaderValue::from_static("application/yaml");
const PRIVATE: HeaderValue = HeaderValue::from_static("no-cache, private");

/// A reply with a body of a known type.
pub fn with_type(code: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = code;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply.headers_mut().insert(CACHE_CONTROL, PRIVATE);
    reply
}

/// JSON as it stands.
pub fn json_bytes(code: StatusCode, body: Bytes) -> Reply {
    with_type(code, JSON, body)
}

/// Plain text, as health checks and paths outside the API answer.
pub fn text(code: StatusCode, body: impl Into<Body>) -> Reply {
    with_type(code, HeaderValue::from_static("text/plain; charset=utf-8"), body)
}

/// The reply to a path that does not exist at all.
pub fn no_such_path() -> Reply {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// JSON text in the format that was asked for.
pub fn encoded(code: StatusCode, body: Bytes, format: Format) -> Reply {
    match format {
        Format::Json => json_bytes(code, body),
        Format::Yaml => match to_yaml(&body) {
            Ok(yaml) => with_type(code, YAML, yaml),
            Err(error) => error_reply(&error),
        },
    }
}

/// JSON as YAML.
pub fn to_yaml(json: &[u8]) -> Result<Bytes, Status> {
    let value: Value = serde_json::from_slice(json).map_err(Status::internal)?;
    serde_saphyr::to_string(&value).map(Bytes::from).map_err(Status::internal)
}

/// One object: `body` is its JSON.
pub fn object(code: StatusCode, body: Bytes, accept: Accept) -> Reply {
    encoded(code, body, accept.format)
}

/// A Status of failure as bytes. An error that Kubernetes gives no reason has none here.
pub fn status_bytes(status: &Status) -> Bytes {
    let mut object = status.to_object();
    if status.reason.is_empty()
        && let Some(object) = object.as_object_mut()
    {
        object.remove("reason");
    }
    Bytes::from(object.to_string())
}

/// The reply of a failure.
pub fn error_reply(status: &Status) -> Reply {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = json_bytes(code, status_bytes(status));
    if let Some(seconds) = status.details.as_ref().and_then(|d| d.retry_after_seconds) {
        reply.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}

/// A Status of success; `details` name the object, when there is one.
pub fn success(code: StatusCode, details: Value) -> Reply {
    let mut body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    if details.is_null() {
        body["code"] = code.as_u16().into();
    } else {
        body["details"] = details;
    }
    json_bytes(code, Bytes::from(body.to_string()))
}

/// The Status of requests for what is not served: `details` is present and empty.
pub fn unserved(code: u16, reason: &str, message: &str) -> Status {
    let mut status = Status::new(code, reason, message);
    status.details = Some(Box::default());
    status
}

/// No such resource, version or subresource.
pub fn no_such_resource() -> Status {
    unserved(404, "NotFound", "the server could not find the requested resource")
}

/// A method that the resource does not have.
pub fn method_not_allowed() -> Status {
    unserved(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
}

/// Adds one `Warning` header per text. Control characters, which no header may hold, become spaces.
pub fn add_warnings(headers: &mut HeaderMap, warnings: &[String]) {
    for warning in warnings {
        let clean: String = warning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let quoted = clean.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            headers.append(http::header::WARNING, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted() {
        let mut headers = HeaderMap::new();
        add_warnings(&mut headers, &["unknown field \"a\"\n".to_owned()]);
        assert_eq!(headers["warning"], "299 - \"unknown field \\\"a\\\" \"");
    }

    #[test]
    fn a_status_without_reason() {
        let body: Value = serde_json::from_slice(&status_bytes(&Status::new(500, "", "x"))).expect("json");
        assert_eq!(
            body,
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "x", "code": 500})
        );
    }
}
