//! A document that changes only with the kinds served: its bytes, their compressed form and their tag.

use crate::respond::{self, Reply, gzip};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha512};
use std::fmt::Write;

/// Bytes that are sent as they are, or as 304 to those who have them.
pub struct Document {
    plain: Bytes,
    /// Compressed once, if that is worth it.
    zipped: Option<Bytes>,
    content_type: HeaderValue,
    /// The hash, in hexadecimal digits; the ETag is this in quotes.
    pub hash: String,
}

impl Document {
    pub fn new(plain: Bytes, content_type: &str) -> Self {
        let hash = Sha512::digest(&plain).iter().fold(String::with_capacity(128), |mut hex, byte| {
            // Writing into a String cannot fail.
            let _ = write!(hex, "{byte:02X}");
            hex
        });
        let zipped = (plain.len() > 4096).then(|| gzip::compress(&plain).ok()).flatten();
        let content_type = HeaderValue::from_str(content_type).unwrap_or(respond::JSON);
        Self { plain, zipped, content_type, hash }
    }

    fn tag(&self) -> String {
        format!("\"{}\"", self.hash)
    }

    /// The document, or 304.
    pub fn reply(&self, headers: &HeaderMap) -> Reply {
        let tag = self.tag();
        let known = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().trim_start_matches("W/") == tag);
        let mut reply = if known {
            let mut reply = Reply::default();
            *reply.status_mut() = StatusCode::NOT_MODIFIED;
            reply
        } else {
            match self.zipped.as_ref().filter(|_| gzip::accepted(headers)) {
                Some(zipped) => {
                    let kind = self.content_type.clone();
                    let mut reply = respond::with_type(StatusCode::OK, kind, zipped.clone());
                    gzip::mark(reply.headers_mut());
                    reply
                }
                None => respond::with_type(StatusCode::OK, self.content_type.clone(), self.plain.clone()),
            }
        };
        let out = reply.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            out.insert(ETAG, tag);
        }
        out.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
        out.append(VARY, HeaderValue::from_static("Accept"));
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let document = Document::new(Bytes::from_static(b"{}"), "application/json");
        let first = document.reply(&HeaderMap::new());
        assert_eq!(first.status(), 200);
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(document.reply(&headers).status(), 304);
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        assert_eq!(document.reply(&headers).status(), 200);
    }
}
