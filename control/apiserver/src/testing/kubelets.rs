//! Logs and exec through a kubelet. The kubelet here models four things of a real one: its paths, its TLS (it
//! wants a client certificate), that an exec is an upgraded connection, and CONNECT. What a runtime does with SPDY is
//! in `runtimes`; the rest is the agent's own tests'.

use super::{Authority, Server};
use crate::serve::{self, tls::ServerCertificate};
use crate::{ApiConfig, KubeletClient};
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const PODS: &str = "/api/v1/namespaces/t/pods";

/// Answers one request as a kubelet.
async fn kubelet(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if request.method() == http::Method::CONNECT {
        return Ok(super::proxies::connect(request).await);
    }
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    if path == "/metrics?a=b" {
        return Ok(Response::new(Body::from("the kubelet's")));
    }
    if path.starts_with("/containerLogs/t/p/c") {
        let slow = futures::stream::iter(["one\n", "two\n"]).then(|line| async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, Infallible>(Bytes::from(line))
        });
        return Ok(Response::new(Body::from_stream(slow)));
    }
    if let Some(command) = super::runtimes::command(&path) {
        return Ok(super::runtimes::run(command, request));
    }
    let upgrades = [
        "/portForward/t/p?port=80&port=81",
        "/exec/t/p/c?command=sh&command=-c&input=1&output=1&tty=1",
        "/attach/t/p/c?output=1&error=1",
        "/portForward/t/p",
    ];
    if upgrades.contains(&path.as_str()) {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..read].to_ascii_uppercase()).await.unwrap();
                stream.flush().await.unwrap();
            }
        });
        let mut reply = Response::builder().status(101).header("connection", "Upgrade");
        // Chooses the first protocol that is offered.
        let offered =
            |name: &str| request.headers().get(name).cloned().unwrap_or(HeaderValue::from_static(""));
        reply = if request.headers()["upgrade"] == "websocket" {
            assert_eq!(request.method(), http::Method::GET);
            reply
                .header("upgrade", "websocket")
                .header("sec-websocket-accept", offered("sec-websocket-key"))
                .header("sec-websocket-protocol", offered("sec-websocket-protocol"))
        } else {
            assert_eq!(request.method(), http::Method::POST);
            let chosen = offered("x-stream-protocol-version");
            reply.header("upgrade", "SPDY/3.1").header("x-stream-protocol-version", chosen)
        };
        return Ok(reply.body(Body::empty()).unwrap());
    }
    Ok(Response::builder().status(404).body(Body::from(format!("no {path}"))).unwrap())
}

/// Serves kubelets' paths; returns the port.
async fn run_kubelet(ca: &Authority) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    // With little room connections are soon full: what is written must wait, and must not be lost.
    socket.set_recv_buffer_size(8 << 10).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(64).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (pem, key) = ca.issue("system:node:n", &["system:nodes"]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.certificate.der().clone()).unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), serve::tls::provider());
    let config = rustls::ServerConfig::builder_with_provider(serve::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let service = hyper::service::service_fn(kubelet);
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    port
}

/// A server whose pod `p` with the container `c` runs on a node with the kubelet above.
pub async fn server_with_kubelet() -> Server {
    let ca = Authority::new();
    let port = run_kubelet(&ca).await;
    let (pem, key) = ca.issue("kube-apiserver-kubelet-client", &["system:masters"]);
    let client =
        KubeletClient::from_pem(ca.certificate.pem().as_bytes(), pem.as_bytes(), key.as_bytes()).unwrap();
    let server = Server::with_config(ApiConfig { kubelet: Some(client), ..ApiConfig::default() }).await;
    server.post("/api/v1/nodes", &json!({"metadata": {"name": "n"}})).await.expect(201);
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }});
    server.merge("/api/v1/nodes/n/status", &status).await.expect(200);
    for (name, containers) in [
        ("p", json!([{"name": "c", "image": "i"}])),
        ("two", json!([{"name": "a", "image": "i"}, {"name": "b", "image": "i"}])),
    ] {
        let pod = json!({"metadata": {"name": name}, "spec": {"containers": containers}});
        server.post(PODS, &pod).await.expect(201);
    }
    server
}

pub async fn bind(server: &Server, name: &str) {
    let binding = json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": "n"}});
    server.post(&format!("{PODS}/{name}/binding"), &binding).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_streamed() {
    let server = server_with_kubelet().await;
    assert_eq!(server.get(&format!("{PODS}/p/log")).await.text(), "", "not scheduled yet");
    bind(&server, "p").await;
    bind(&server, "two").await;
    let answer = server.get(&format!("{PODS}/p/log?follow=true")).await;
    assert_eq!((answer.code, answer.text().as_str()), (200, "one\ntwo\n"));
    assert_eq!(answer.headers["content-type"], "text/plain");
    let refused = server.get(&format!("{PODS}/two/log")).await.expect(400);
    assert_eq!(refused["message"], "a container name must be specified for pod two, choose one of: [a b]");
    let refused = server.get(&format!("{PODS}/p/log?container=x")).await.expect(400);
    assert_eq!(refused["message"], "container x is not valid for pod p");
    server.get(&format!("{PODS}/p/log?tailLines=-1")).await.expect(422);
    server.get(&format!("{PODS}/two/log?container=a")).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_there_are_no_logs() {
    let server = Server::start().await;
    server.post("/api/v1/nodes", &json!({"metadata": {"name": "n"}})).await.expect(201);
    let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}});
    server.merge("/api/v1/nodes/n/status", &status).await.expect(200);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    server.post(PODS, &pod).await.expect(201);
    bind(&server, "p").await;
    server.get(&format!("{PODS}/p/log")).await.expect(503);
}

/// Opens a raw HTTP/1.1 connection to the server.
pub async fn raw(server: &Server) -> tokio_rustls::client::TlsStream<TcpStream> {
    let listener = serve::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (pem, key) = server.ca.issue("kube-apiserver", &[]);
    let certificate = ServerCertificate::from_pem(pem.as_bytes(), key.as_bytes()).unwrap();
    let api = server.api.clone();
    tokio::spawn(async move { api.serve_tls(listener, certificate).await });
    let (pem, key) = server.ca.issue("boss", &["system:masters"]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.ca.certificate.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(serve::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

/// The path of an exec.
const EXEC: &str = "exec?command=sh&command=-c&container=c&stdin=true&stdout=true&tty=true";

/// Sends the head of a request for a connection and reads the head of the reply.
async fn ask(
    stream: &mut tokio_rustls::client::TlsStream<TcpStream>,
    method: &str,
    path: &str,
    upgrade: &str,
) -> String {
    let head = format!(
        "{method} {PODS}/p/{path} HTTP/1.1\r\nHost: x\r\n\
         Connection: Upgrade\r\nUpgrade: {upgrade}\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(Duration::from_secs(10), stream.read_u8()).await;
        reply.push(byte.expect("a reply in time").unwrap());
    }
    String::from_utf8(reply).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_carry_bytes_both_ways() {
    let server = server_with_kubelet().await;
    bind(&server, "p").await;
    for path in [EXEC, "attach?container=c&stdout=true&stderr=true&stdin=false", "portforward?ports=80"] {
        let mut stream = raw(&server).await;
        let head = ask(&mut stream, "POST", path, "SPDY/3.1").await.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{path}: {head}");
        let agreed = head.contains("upgrade: spdy/3.1") && head.contains("x-stream-protocol-version: v4");
        assert!(agreed, "{path}: {head}");
        for word in ["hello", "again"] {
            stream.write_all(word.as_bytes()).await.unwrap();
            let mut echo = [0; 5];
            stream.read_exact(&mut echo).await.unwrap();
            assert_eq!(std::str::from_utf8(&echo).unwrap(), word.to_ascii_uppercase(), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_connected_to_is_refused_plainly() {
    let server = server_with_kubelet().await;
    let mut stream = raw(&server).await;
    let head = ask(&mut stream, "POST", "portforward", "SPDY/3.1").await;
    assert!(head.starts_with("HTTP/1.1 400"), "not scheduled: {head}");
    bind(&server, "p").await;
    for path in [EXEC, "attach?container=c&stdout=true", "portforward"] {
        let mut stream = raw(&server).await;
        let head = ask(&mut stream, "GET", path, "websocket").await;
        assert!(head.starts_with("HTTP/1.1 400"), "{path}: {head}");
    }
    // A connection is a creation, however it is asked for: those who may only read may not have one.
    let reader = std::sync::Arc::new(keelson_api::identity::UserInfo::component("reader"));
    for path in [EXEC, "attach", "portforward"] {
        let request = Request::get(format!("{PODS}/p/{path}")).body(Body::empty()).unwrap();
        let refused = server.send_as(&reader, request).await.expect(403);
        let message = refused["message"].as_str().unwrap_or_default();
        assert!(message.contains("cannot get resource"), "{message}");
    }
}
