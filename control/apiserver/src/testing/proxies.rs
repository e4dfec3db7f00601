//! Requests handed on to pods, Services and nodes. The backend stands behind the kubelet's CONNECT: it answers
//! with what it was asked.

use super::kubelets::{bind, raw, server_with_kubelet};
use super::{Answer, Authority, Server};
use crate::respond::gzip;
use crate::serve;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use keelson_api::identity::UserInfo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io::Read;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

const POD: &str = "/api/v1/namespaces/t/pods/p";
const SERVICES: &str = "/api/v1/namespaces/t/services";
const ADDRESS: &str = "10.1.2.3";

/// The kubelet's part: a connection to the pod, on which the backend below answers.
pub async fn connect(mut request: Request<Incoming>) -> Response<Body> {
    let target = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let (address, port) = target.rsplit_once(':').unwrap_or_default();
    let refuse = |code: StatusCode, text: String| {
        let mut reply = Response::new(Body::from(text));
        *reply.status_mut() = code;
        reply
    };
    if address != ADDRESS {
        return refuse(StatusCode::FORBIDDEN, format!("no pod has the address {address}"));
    }
    let port = port.to_owned();
    if port == "81" {
        return refuse(StatusCode::BAD_GATEWAY, format!("dial tcp {target}: connection refused\n"));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let stream = TokioIo::new(upgrade.await.unwrap());
        if port != "8443" {
            return serve_backend(stream, port).await;
        }
        let (pem, key) = Authority::new().issue("nobody we know", &[]);
        let config = rustls::ServerConfig::builder_with_provider(serve::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        serve_backend(TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap(), port).await;
    });
    Response::new(Body::empty())
}

async fn serve_backend<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, port: String) {
    let service = hyper::service::service_fn(move |request| backend(request, port.clone()));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = connection.with_upgrades().await;
}

/// Answers with the request, or a redirection, or a changed protocol.
async fn backend(mut request: Request<Incoming>, port: String) -> Result<Response<Body>, Infallible> {
    let reply = Response::builder();
    if request.uri().path() == "/away" {
        let reply = reply.status(302).header("location", format!("http://{ADDRESS}:{port}/there?x=1"));
        return Ok(reply.body(Body::empty()).unwrap());
    }
    if request.uri().path() == "/asked" {
        let asked = request.headers()["x-forwarded-host"].to_str().unwrap();
        let reply = reply.status(302).header("location", format!("https://{asked}/there"));
        return Ok(reply.body(Body::empty()).unwrap());
    }
    if let Some(page) = request.uri().path().strip_prefix("/page/") {
        return Ok(pages(page));
    }
    if request.headers().contains_key("upgrade") {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let mut buffer = [0; 5];
            stream.read_exact(&mut buffer).await.unwrap();
            stream.write_all(&buffer.to_ascii_uppercase()).await.unwrap();
        });
        let reply = reply.status(101).header("connection", "Upgrade").header("upgrade", "websocket");
        return Ok(reply.body(Body::empty()).unwrap());
    }
    let (parts, body) = request.into_parts();
    let headers: serde_json::Map<String, Value> =
        parts.headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().into())).collect();
    let body = body.collect().await.unwrap().to_bytes();
    let seen = json!({
        "port": port, "method": parts.method.as_str(), "uri": parts.uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    let reply =
        reply.status(418).header("x-backend", "1").header("connection", "x-gone").header("x-gone", "1");
    Ok(reply.body(Body::from(seen.to_string())).unwrap())
}

/// A page with a link, in a form that the path names.
fn pages(form: &str) -> Response<Body> {
    let page = b"<p>\xff</p><a href=\"/x\">".repeat(3);
    let reply = Response::builder().header("content-type", "text/html; charset=utf-8");
    let reply = match form {
        "chunked" => {
            let pieces: Vec<_> =
                page.chunks(5).map(|piece| Ok::<_, Infallible>(Bytes::from(piece.to_vec()))).collect();
            return reply.body(Body::from_stream(futures::stream::iter(pieces))).unwrap();
        }
        "gzip" => reply.header("content-encoding", "gzip").body(Body::from(gzip::compress(&page).unwrap())),
        "br" => reply.header("content-encoding", "br").body(Body::from(page)),
        "part" => reply.status(206).header("content-range", "bytes 0-62/1000").body(Body::from(page)),
        "text" => Response::builder().header("content-type", "text/plain").body(Body::from(page)),
        _ => reply.body(Body::from(page)),
    };
    reply.unwrap()
}

/// A server whose pod `p` has an address, with two Services before it.
async fn start() -> Server {
    let server = server_with_kubelet().await;
    bind(&server, "p").await;
    let status = json!({"status": {"podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]}});
    server.merge(&format!("{POD}/status"), &status).await.expect(200);
    for name in ["web", "empty"] {
        let ports = json!([{"name": "http", "port": 8000}, {"name": "tls", "port": 443}]);
        let service = json!({"metadata": {"name": name}, "spec": {"ports": ports}});
        server.post(SERVICES, &service).await.expect(201);
    }
    let slice = json!({
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}, {"name": "tls", "port": 8443}],
        "endpoints": [{
            "addresses": [ADDRESS], "nodeName": "n", "conditions": {"ready": true},
            "targetRef": {"kind": "Pod", "name": "p", "namespace": "t"},
        }],
    });
    server.post("/apis/discovery.k8s.io/v1/namespaces/t/endpointslices", &slice).await.expect(201);
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_and_its_answer_pass() {
    let server = start().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let path = format!("{POD}/proxy/a%20b//c/?x=1&y=%20");
        let request = Request::builder().method(method).uri(&path).header("authorization", "Bearer s");
        let request = request.header("x-mine", "1").header("host", "api").body(Body::from("a body")).unwrap();
        let answer = server.send(request).await;
        let seen = answer.expect(418);
        assert_eq!((&seen["method"], &seen["uri"]), (&json!(method), &json!("/a%20b//c/?x=1&y=%20")));
        assert_eq!((&seen["port"], &seen["body"]), (&json!("80"), &json!("a body")));
        let headers = &seen["headers"];
        assert_eq!((&headers["host"], &headers["x-mine"]), (&json!("10.1.2.3:80"), &json!("1")));
        assert_eq!(headers["x-forwarded-host"], "api");
        assert!(headers["authorization"].is_null(), "credentials are this server's business");
        assert_eq!(answer.headers["x-backend"], "1");
        assert!(!answer.headers.contains_key("x-gone"), "it was about the connection");
    }
    let head = server.call("HEAD", &format!("{POD}/proxy/x"), "", Body::empty()).await;
    assert_eq!((head.code, head.bytes.len()), (418, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_requests_go() {
    let server = start().await;
    let port =
        async |path: &str| server.get(path).await.json()["port"].as_str().unwrap_or_default().to_owned();
    assert_eq!(port("/api/v1/namespaces/t/pods/p:9000/proxy/").await, "9000");
    assert_eq!(port("/api/v1/namespaces/t/pods/http:p:9000/proxy/").await, "9000");
    assert_eq!(port("/api/v1/namespaces/t/pods/https:p:8443/proxy/").await, "8443");
    for (name, want) in
        [("web:http", "8080"), ("web:8000", "8080"), ("https:web:tls", "8443"), ("https:web:443", "8443")]
    {
        assert_eq!(port(&format!("{SERVICES}/{name}/proxy/x")).await, want, "{name}");
    }
    for node in ["n", "https:n:"] {
        let answer = server.get(&format!("/api/v1/nodes/{node}/proxy/metrics?a=b")).await;
        assert_eq!((answer.code, answer.text().as_str()), (200, "the kubelet's"), "{node}");
    }
    for (path, code, words) in [
        (format!("{SERVICES}/empty:http/proxy/"), 503, "no endpoints available for service \"empty:http\""),
        (format!("{SERVICES}/web/proxy/"), 503, "no endpoints available for service \"web\""),
        (format!("{SERVICES}/web:1/proxy/"), 503, "no service port 1 found for service \"web\""),
        (format!("{SERVICES}/missing/proxy/"), 404, "services \"missing\" not found"),
        ("/api/v1/namespaces/t/pods/p:81/proxy/".to_owned(), 503, "dial tcp 10.1.2.3:81: connection refused"),
        ("/api/v1/namespaces/t/pods/ftp:p:21/proxy/".to_owned(), 400, "invalid pods request \"ftp:p:21\""),
        ("/api/v1/namespaces/t/pods/two/proxy/".to_owned(), 400, "address not allowed"),
        ("/api/v1/nodes/n:9/proxy/".to_owned(), 400, "address not allowed"),
    ] {
        let answer = server.get(&path).await;
        let status = answer.expect(code);
        assert!(status["message"].as_str().is_some_and(|m| m.contains(words)), "{path}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_is_a_folder_and_redirections_stay_inside() {
    let server = start().await;
    let location = |answer: &Answer| answer.headers["location"].to_str().unwrap().to_owned();
    for path in [format!("{POD}/proxy"), format!("{SERVICES}/web:http/proxy")] {
        for method in ["GET", "HEAD"] {
            let answer = server.call(method, &format!("{path}?a=b"), "", Body::empty()).await;
            assert_eq!((answer.code, location(&answer)), (301, format!("{path}/?a=b")), "{method} {path}");
        }
        let posted = server.call("POST", &path, "", Body::empty()).await.expect(418);
        assert_eq!(posted["uri"], "/");
        let answer = server.get(&format!("{path}/away")).await;
        assert_eq!((answer.code, location(&answer)), (302, format!("{path}/there?x=1")));
        let request = Request::get(format!("{path}/asked")).header("host", "api:6443").body(Body::empty());
        let answer = server.send(request.unwrap()).await;
        assert_eq!((answer.code, location(&answer)), (302, format!("https://api:6443{path}/there")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_of_pages_lead_through_the_proxy() {
    let server = start().await;
    let page = |prefix: &str| [b"<p>\xff</p><a href=\"", prefix.as_bytes(), b"/x\">"].concat().repeat(3);
    let root = format!("{POD}/proxy");
    for (form, want) in [
        ("plain", page(&root)),
        ("chunked", page(&root)),
        ("gzip", page(&root)),
        ("br", page("")),
        ("part", page("")),
        ("text", page("")),
    ] {
        let answer = server.get(&format!("{root}/page/{form}")).await;
        let body = match form {
            "gzip" => {
                let mut body = Vec::new();
                flate2::read::GzDecoder::new(&answer.bytes[..]).read_to_end(&mut body).unwrap();
                body
            }
            _ => answer.bytes.to_vec(),
        };
        assert_eq!(body, want, "{form}: {}", String::from_utf8_lossy(&body));
        let length = answer
            .headers
            .get("content-length")
            .map(|value| value.to_str().unwrap().parse::<usize>().unwrap());
        assert!(length.is_none_or(|length| length == answer.bytes.len()), "{form}: {length:?}");
    }
    let head = server.call("HEAD", &format!("{root}/page/gzip"), "", Body::empty()).await;
    assert_eq!(
        (head.code, head.bytes.len(), &head.headers["content-encoding"]),
        (200, 0, &"gzip".parse().unwrap())
    );
    assert!(!head.headers.contains_key("content-length"), "it is not the page's");
    let of_service = format!("{SERVICES}/https:web:tls/proxy");
    assert_eq!(server.get(&format!("{of_service}/page/plain")).await.bytes, page(&of_service));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protocols_change_and_rights_count() {
    let server = start().await;
    let mut stream = raw(&server).await;
    let head = format!(
        "GET {POD}/proxy/socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        reply.push(stream.read_u8().await.unwrap());
    }
    let reply = String::from_utf8(reply).unwrap().to_ascii_lowercase();
    assert!(reply.starts_with("http/1.1 101") && reply.contains("upgrade: websocket"), "{reply}");
    stream.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"HELLO");

    let nobody = Arc::new(UserInfo::component("nobody"));
    for (method, verb) in
        [("GET", "get"), ("HEAD", "get"), ("POST", "create"), ("PUT", "update"), ("DELETE", "delete")]
    {
        let request = Request::builder().method(method).uri(format!("{POD}/proxy/x")).body(Body::empty());
        let answer = server.send_as(&nobody, request.unwrap()).await;
        assert_eq!(answer.code, 403, "{method}");
        let words = format!("cannot {verb} resource \\\"pods/proxy\\\"");
        assert!(answer.text().contains(&words), "{}", answer.text());
    }
    server.get(&format!("{POD}/log/x")).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reviews_have_no_table() {
    let server = Server::start().await;
    let review = json!({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/"}}});
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    for (accept, code) in [(table.to_owned(), 406), (format!("{table},application/json"), 201)] {
        let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header("accept", &accept)
            .header("content-type", "application/json")
            .body(Body::from(review.to_string()))
            .unwrap();
        assert_eq!(server.send(request).await.code, code, "{accept}");
    }
}
