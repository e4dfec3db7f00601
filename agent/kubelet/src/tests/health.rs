//! A server that speaks as much of the gRPC health checking protocol as one question needs.

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use tokio::net::TcpListener;

/// The status of a service that is not known, as the protocol has it.
const NOT_FOUND: &str = "5";

/// Serves on a port of the loopback address. Questions for `service` get one answer: a serving status, or a gRPC
/// status code without a message; no other service is known.
pub async fn serve(service: &'static str, answer: Result<u8, &'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(move |request| reply(request, service, answer));
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    port
}

type Frames = tokio_stream::Iter<std::vec::IntoIter<Result<http_body::Frame<Bytes>, Infallible>>>;

async fn reply(
    request: http::Request<hyper::body::Incoming>,
    service: &str,
    answer: Result<u8, &'static str>,
) -> Result<http::Response<StreamBody<Frames>>, hyper::Error> {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    assert!(request.headers()["user-agent"].to_str().unwrap().starts_with("kube-probe/1.36"));
    let asked = request.into_body().collect().await?.to_bytes();
    let (message, code) = match answer {
        _ if asked != question(service) => (None, NOT_FOUND),
        // Not compressed, two bytes: field 1, the status.
        Ok(status) => (Some(Bytes::from(vec![0, 0, 0, 0, 2, 8, status])), "0"),
        Err(code) => (None, code),
    };
    let name = http::HeaderName::from_static("grpc-status");
    let trailers = http::HeaderMap::from_iter([(name, http::HeaderValue::from_static(code))]);
    let frames = message.map(http_body::Frame::data).into_iter();
    let frames: Vec<_> = frames.chain([http_body::Frame::trailers(trailers)]).map(Ok).collect();
    let reply = http::Response::builder().header("content-type", "application/grpc");
    Ok(reply.body(StreamBody::new(tokio_stream::iter(frames))).unwrap())
}

/// The message that asks for a service: not compressed, its length, and field 1, the name, where there is one.
fn question(service: &str) -> Vec<u8> {
    let len = u8::try_from(service.len()).unwrap();
    let field = if service.is_empty() { Vec::new() } else { [&[10, len], service.as_bytes()].concat() };
    [&[0, 0, 0, 0, field.len() as u8], field.as_slice()].concat()
}
