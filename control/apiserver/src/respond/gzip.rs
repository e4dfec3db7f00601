//! Compression of big replies. Level 1: the network is rarely the bottleneck, the processor often is.

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{Stream, StreamExt, stream};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, HeaderValue};
use std::convert::Infallible;
use std::io::{self, Write};

/// Replies of at least this many bytes are compressed for clients that accept it.
pub const THRESHOLD: usize = 128 * 1024;

/// Whether the client takes gzip.
pub fn accepted(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|coding| coding.split(';').next().is_some_and(|name| name.trim() == "gzip"))
}

/// Marks a reply as compressed.
pub fn mark(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Compresses one buffer.
pub fn compress(bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish().map(Bytes::from)
}

/// Compresses a stream of chunks; memory stays that of one chunk.
pub fn stream<S>(chunks: S) -> Body
where
    S: Stream<Item = Bytes> + Send + Unpin + 'static,
{
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let body = stream::unfold((chunks, Some(encoder)), |(mut chunks, encoder)| async move {
        let mut encoder = encoder?;
        loop {
            match chunks.next().await {
                Some(chunk) => {
                    encoder.write_all(&chunk).ok()?;
                    if encoder.get_ref().len() >= 16 * 1024 {
                        let out = std::mem::take(encoder.get_mut());
                        return Some((Ok::<_, Infallible>(Bytes::from(out)), (chunks, Some(encoder))));
                    }
                }
                None => {
                    let out = encoder.finish().ok()?;
                    return Some((Ok(Bytes::from(out)), (chunks, None)));
                }
            }
        }
    });
    Body::from_stream(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn unzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
        out
    }

    #[tokio::test]
    async fn round_trips() {
        let chunk = Bytes::from("some text that repeats, ".repeat(2000));
        assert_eq!(unzip(&compress(&chunk).expect("compressed")), chunk);
        let body = stream(stream::iter(vec![chunk.clone(); 40]));
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("body");
        assert_eq!(unzip(&bytes), chunk.repeat(40));
    }

    #[test]
    fn asks() {
        let check = |value: &'static str, want: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepted(&headers), want, "{value}");
        };
        check("gzip", true);
        check("deflate, gzip;q=0.8", true);
        check("identity", false);
    }
}
