//! Request bodies: how big they may be, and of what type they say they are.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use keelson_api::status::Status;

/// The most bytes of a request body.
pub const MAX_BODY: usize = 3 * 1024 * 1024;

/// Reads a whole body, or refuses it as soon as it is known to be too big.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Status> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if is_limit(error.as_ref()) => Err(too_large()),
        Err(error) => Err(Status::bad_request(format!("unable to read the request body: {error}"))),
    }
}

fn is_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_limit)
}

fn too_large() -> Status {
    Status::too_large(format!("Request entity too large: limit is {MAX_BODY}"))
}

/// The media type of the body without its parameters; empty when none is given.
pub fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn limits() {
        let check = async |size: usize, ok: bool| {
            let read = read(&HeaderMap::new(), Body::from(vec![b' '; size])).await;
            assert_eq!(read.is_ok(), ok, "{size}");
            if let Err(status) = read {
                assert_eq!(status.code, 413);
                assert_eq!(status.message, "Request entity too large: limit is 3145728");
            }
        };
        check(0, true).await;
        check(MAX_BODY, true).await;
        check(MAX_BODY + 1, false).await;
    }
}
