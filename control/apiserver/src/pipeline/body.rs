//! Request bodies: how big they may be, and of what type they say they are.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use keelson_api::status::Status;
use std::time::Duration;

/// The most bytes of a request body.
pub const MAX_BODY: usize = 3 * 1024 * 1024;

/// Bytes of a body that is too big which are still taken, so that its sender gets to read the refusal instead
/// of a broken connection.
const DRAIN: usize = 32 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Reads a whole body, or refuses one that is too big.
pub async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Status> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(refuse(body).await);
    }
    // Most bodies come in one piece, which is then not copied.
    let mut first = Bytes::new();
    let mut rest = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Status::bad_request(format!("unable to read the request body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > MAX_BODY {
            drop((first, rest));
            return Err(refuse(body).await);
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { Bytes::from(rest) })
}

/// Takes in what is still coming, for a while, and words the refusal.
async fn refuse(mut body: Body) -> Status {
    let drain = async {
        let mut left = DRAIN;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Whether it was all of it makes no difference to the answer.
    let _ = tokio::time::timeout(DRAIN_TIME, drain).await;
    too_large()
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

    #[tokio::test]
    async fn pieces_are_joined() {
        let pieces = ["ab", "cd", "", "e"].map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from(piece)));
        let body = Body::from_stream(futures::stream::iter(pieces));
        assert_eq!(read(&HeaderMap::new(), body).await.expect("small"), "abcde");
    }
}
