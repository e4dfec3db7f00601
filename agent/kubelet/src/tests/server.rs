//! The :10250 server: logs, exec through containerd's streaming server, who may call.

use super::stage::{Stage, eventually};
use rustls_pki_types::ServerName;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One raw HTTP/1.1 exchange; the reply's head and what follows, up to `words`, to its end or to its last word within a
/// moment.
async fn ask(stage: &Stage, name: Option<&str>, head: &str, words: &str) -> String {
    let address = stage.kubelet.as_ref().unwrap().address();
    let connector = tokio_rustls::TlsConnector::from(stage.tls.client(name));
    let stream = TcpStream::connect(address).await.unwrap();
    let server = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = connector.connect(server, stream).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    let read = async {
        while stream.read_buf(&mut reply).await.is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&reply);
            if text.contains("\r\n\r\n") && text.contains(words) {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(3), read).await;
    String::from_utf8_lossy(&reply).into_owned()
}

const API_SERVER: Option<&str> = Some("kube-apiserver-kubelet-client");

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_exec_and_access() {
    let stage = Stage::start().await;
    stage.pod(
        "a",
        json!({"hostNetwork": true, "containers": [
        {"name": "c", "command": ["sh", "-c", "echo one; sleep 0.2; echo two >&2; exec sleep 1000"]}]}),
    );
    stage.until_ready("a").await;
    eventually("both lines", || stage.log("a", "c", 0).lines().count() == 2).await;

    let check = async |name: Option<&str>, request: &str, status: &str, body: &str| {
        let reply = ask(&stage, name, request, body).await;
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {reply}");
        assert!(reply.contains(body), "{request}: {reply}");
    };
    check(None, &get("/pods"), "401", "Unauthorized").await;
    check(API_SERVER, &get("/healthz"), "200", "ok").await;
    check(API_SERVER, &get("/pods"), "200", "\"name\":\"a\"").await;
    check(API_SERVER, &get("/metrics"), "200", "kubelet_running_pods 1").await;
    check(API_SERVER, &get("/containerLogs/default/a/c"), "200", "one\n").await;
    check(API_SERVER, &get("/containerLogs/default/a/c?tailLines=1"), "200", "two\n").await;
    check(API_SERVER, &get("/containerLogs/default/a/c?previous=true"), "400", "previous terminated").await;
    check(API_SERVER, &get("/containerLogs/default/a/x"), "404", "container \"x\" not found in pod \"a\"")
        .await;
    check(API_SERVER, &get("/containerLogs/default/x/c"), "404", "pod \"x\" does not exist").await;
    check(API_SERVER, &get("/nowhere"), "404", "").await;
    let exec = |upgrade: &str, query: &str| {
        format!(
            "POST /exec/default/a/c?{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\
             X-Stream-Protocol-Version: v4.channel.k8s.io\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let run = "command=echo&command=hi&output=1&error=1";
    check(API_SERVER, &exec("SPDY/3.1", run), "101", "v4.channel.k8s.io").await;
    check(API_SERVER, &exec("h2c", run), "400", "only the SPDY/3.1 and websocket protocols").await;
    // As the runtime has it: a message begins with its channel, 1 for the output, 3 for how it ended.
    let socket = |protocol: &str| {
        format!(
            "GET /exec/default/a/c?{run} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: {protocol}\r\n\r\n"
        )
    };
    check(API_SERVER, &socket("channel.k8s.io"), "101", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").await;
    check(API_SERVER, &socket("channel.k8s.io"), "101", "\u{1}hi\n").await;
    check(API_SERVER, &socket("base64.channel.k8s.io"), "101", "1aGkK").await;
    check(API_SERVER, &socket("v4.channel.k8s.io"), "101", "\u{3}{\"metadata\":{},\"status\":\"Success\"}")
        .await;
    check(API_SERVER, &socket("unheard.of"), "403", "").await;
    check(Some("someone"), &socket("channel.k8s.io"), "403", "verb=create").await;
    check(API_SERVER, &exec("SPDY/3.1", "command=echo"), "400", "at least 1").await;
    // The test's API lets nobody in: SubjectAccessReviews come back without a word.
    check(Some("someone"), &get("/pods"), "403", "user=someone, verb=get").await;
    check(Some("someone"), &exec("SPDY/3.1", run), "403", "verb=create").await;
}

/// What the API server reaches pods by: only what runs here, and only for those who may enter the node.
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_pods_of_this_node() {
    let stage = Stage::start().await;
    let port = 20_000 + std::process::id() % 10_000;
    let connect =
        |target: &str, rest: &str| format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n{rest}");
    let here = connect(&format!("127.0.0.1:{port}"), "");
    let why = "no pod that runs on node";
    let refused = ask(&stage, API_SERVER, &here, why).await;
    assert!(refused.starts_with("HTTP/1.1 403") && refused.contains(why), "{refused}");
    stage.pod("web", json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [
        {"name": "c", "command": ["sh", "-c", format!("mkdir /www; echo hello from the pod > /www/index.html; \
                                                       exec httpd -f -p 127.0.0.1:{port} -h /www")],
         "readinessProbe": {"periodSeconds": 1, "tcpSocket": {"port": port}}}]}));
    stage.until_ready("web").await;
    let inner = "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
    let page = "hello from the pod\n";
    let reply = ask(&stage, API_SERVER, &connect(&format!("127.0.0.1:{port}"), inner), page).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.ends_with(page), "{reply}");
    let check = async |name: Option<&str>, target: &str, status: &str, words: &str| {
        let reply = ask(&stage, name, &connect(target, ""), words).await;
        assert!(
            reply.starts_with(&format!("HTTP/1.1 {status}")) && reply.contains(words),
            "{target}: {reply}"
        );
    };
    check(API_SERVER, "127.0.0.2:80", "403", "127.0.0.2").await;
    check(API_SERVER, "127.0.0.1:9", "502", "dial tcp 127.0.0.1:9").await;
    check(API_SERVER, "localhost:80", "400", "an address and a port").await;
    check(None, "127.0.0.1:80", "401", "").await;
    check(Some("someone"), "127.0.0.1:80", "403", "verb=create, resource=nodes, subresource(s)=[proxy]")
        .await;
    stage.api.delete_pod("default", "web", 0);
    for _ in 0..100 {
        if ask(&stage, API_SERVER, &here, "").await.starts_with("HTTP/1.1 403") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("the pod's address is still reached after the pod is gone");
}
