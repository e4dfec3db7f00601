//! Replies of backends on their way to the client. What is HTML is rewritten as it flows, also when it is compressed
//! by gzip: memory stays that of one frame and of a compressor. Other codings of a body are passed on as they are.

use super::html::Rewriter;
use super::link::Links;
use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};
use futures::stream;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use std::io::{self, Write};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The reply as the client gets it, whose head is in order already.
pub fn onward(response: Response<Incoming>, links: Links) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let page = Page::new(parts.status, &parts.headers, links);
    let Some(page) = page else { return Response::from_parts(parts, Body::new(body)) };
    parts.headers.remove(CONTENT_LENGTH);
    if body.is_end_stream() {
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, rewritten(body, page))
}

fn rewritten(body: Incoming, page: Page) -> Body {
    Body::from_stream(stream::try_unfold(Some((body, page)), |state| async move {
        let Some((mut body, mut page)) = state else { return Ok::<_, BoxError>(None) };
        while let Some(frame) = body.frame().await {
            // Trailers tell of the body as it was.
            let Ok(data) = frame?.into_data() else { continue };
            let bytes = page.feed(&data)?;
            if !bytes.is_empty() {
                return Ok(Some((bytes, Some((body, page)))));
            }
        }
        Ok(Some((page.finish()?, None)))
    }))
}

/// A page that is being rewritten, by the coding of its body.
enum Page {
    Plain(Rewriter<Vec<u8>>),
    Gzip(Box<MultiGzDecoder<Rewriter<GzEncoder<Vec<u8>>>>>),
}

impl Page {
    /// `None` when the body is not to be rewritten.
    fn new(status: StatusCode, headers: &HeaderMap, links: Links) -> Option<Self> {
        // A part of a page tells where in the page it stands.
        if !is_html(headers) || status == StatusCode::PARTIAL_CONTENT {
            return None;
        }
        match headers.get(CONTENT_ENCODING).map_or(&b""[..], |value| value.as_bytes()) {
            b"" | b"identity" => Some(Page::Plain(Rewriter::new(Vec::new(), links))),
            b"gzip" => {
                let encoder = GzEncoder::new(Vec::new(), Compression::fast());
                Some(Page::Gzip(Box::new(MultiGzDecoder::new(Rewriter::new(encoder, links)))))
            }
            _ => None,
        }
    }

    /// What can be sent on after these bytes.
    fn feed(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        let out = match self {
            Page::Plain(rewriter) => {
                rewriter.write_all(bytes)?;
                rewriter.get_mut()
            }
            Page::Gzip(decoder) => {
                decoder.write_all(bytes)?;
                // A backend that sends bit by bit wants it seen.
                decoder.flush()?;
                decoder.get_mut().get_mut().get_mut()
            }
        };
        Ok(Bytes::from(std::mem::take(out)))
    }

    fn finish(self) -> io::Result<Bytes> {
        let out = match self {
            Page::Plain(rewriter) => rewriter.finish()?,
            Page::Gzip(mut decoder) => {
                decoder.try_finish()?;
                decoder.finish()?.finish()?.finish()?
            }
        };
        Ok(Bytes::from(out))
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::io::Read;

    fn page(status: u16, kind: &'static str, coding: &'static str) -> Option<Page> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if !coding.is_empty() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        let links = Links::new("/proxy", "10.0.0.1:80", false, None);
        Page::new(StatusCode::from_u16(status).unwrap(), &headers, links)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_rewritten() {
        let check = |status: u16, kind: &'static str, coding: &'static str, want: bool| {
            assert_eq!(page(status, kind, coding).is_some(), want, "{status} {kind} {coding}");
        };
        check(200, "text/html", "", true);
        check(404, "Text/HTML ;charset=utf-8", "identity", true);
        check(200, "text/html", "gzip", true);
        check(206, "text/html", "", false);
        for coding in ["br", "deflate", "zstd", "gzip, gzip"] {
            check(200, "text/html", coding, false);
        }
        for kind in ["", "text/plain", "application/xhtml+xml", "text/htmlx", "application/json"] {
            check(200, kind, "", false);
        }
    }

    #[test]
    fn compressed_pages() {
        let text = "<a href='/x'>".repeat(5000);
        let want = "<a href='/proxy/x'>".repeat(5000);
        // Two members are one body.
        let body = [gzip(&text[..13 * 7 + 10]), gzip(&text[13 * 7 + 10..])].concat();
        for length in [1, 100, body.len()] {
            let mut page = page(200, "text/html", "gzip").unwrap();
            let mut out = Vec::new();
            for piece in body.chunks(length) {
                out.extend(page.feed(piece).unwrap());
            }
            out.extend(page.finish().unwrap());
            let mut got = String::new();
            flate2::read::GzDecoder::new(&out[..]).read_to_string(&mut got).unwrap();
            assert_eq!(got, want);
        }
    }

    #[test]
    fn compressed_pages_come_bit_by_bit() {
        let mut backend = GzEncoder::new(Vec::new(), Compression::fast());
        let mut page = page(200, "text/html", "gzip").unwrap();
        let mut client = flate2::write::GzDecoder::new(Vec::new());
        for n in 0..3 {
            write!(backend, "<a href='/{n}'>").unwrap();
            backend.flush().unwrap();
            client.write_all(&page.feed(&std::mem::take(backend.get_mut())).unwrap()).unwrap();
            client.flush().unwrap();
            assert_eq!(std::mem::take(client.get_mut()), format!("<a href='/proxy/{n}'>").into_bytes());
        }
    }

    #[test]
    fn broken_bodies_end_in_errors() {
        let body = gzip("<a href='/x'>");
        let mut cut = page(200, "text/html", "gzip").unwrap();
        cut.feed(&body[..body.len() - 5]).unwrap();
        assert!(cut.finish().is_err());
        let mut wrong = page(200, "text/html", "gzip").unwrap();
        assert!(wrong.feed(b"<html>, not compressed").is_err());
    }

    /// A small body that becomes a big one is not kept.
    #[test]
    fn what_is_compressed_stays_so() {
        let body = gzip(&"x".repeat(50_000_000));
        let mut page = page(200, "text/html", "gzip").unwrap();
        let mut most = 0;
        for piece in body.chunks(16 * 1024) {
            most = most.max(page.feed(piece).unwrap().len());
        }
        assert!(most < 1_000_000, "{most} bytes at a time");
    }
}
