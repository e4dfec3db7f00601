//! WebSockets: exec, attach, port-forward, logs and watches as browsers, kubectl and Kubernetes' own tests ask for
//! them. What a runtime answers to the older protocols is the runtime's; a real one is asked in the agent's tests.

use super::Server;
use super::kubelets::{bind, raw, server_with_kubelet};
use super::runtimes::STATUS;
use axum::body::Body;
use futures::{SinkExt, StreamExt};
use http::Request;
use keelson_api::identity::UserInfo;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

const POD: &str = "/api/v1/namespaces/t/pods/p";
/// The example of RFC 6455, 1.3: the key and what it becomes.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const V5: &str = "v5.channel.k8s.io";

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Asks for a WebSocket: the head of the reply, in lower case but for values, and the connection.
async fn ask(server: &Server, path: &str, protocols: &str) -> (String, TlsStream<TcpStream>) {
    let mut stream = raw(server).await;
    let offered = match protocols {
        "" => String::new(),
        _ => format!("Sec-WebSocket-Protocol: {protocols}\r\n"),
    };
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{offered}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(Duration::from_secs(10), stream.read_u8()).await;
        reply.push(byte.expect("a reply in time").unwrap());
    }
    (String::from_utf8(reply).unwrap(), stream)
}

/// A WebSocket with the subprotocol `agreed`, which may be empty.
async fn open(server: &Server, path: &str, protocols: &str, agreed: &str) -> Socket {
    let (head, stream) = ask(server, path, protocols).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{path}: {head}");
    assert!(head.contains(&format!("sec-websocket-accept: {ACCEPT}\r\n")), "{path}: {head}");
    let chosen = head.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
    assert_eq!(chosen.unwrap_or_default(), agreed, "{path}");
    WebSocketStream::from_raw_socket(stream, Role::Client, None).await
}

async fn next(socket: &mut Socket) -> Message {
    let message = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
    message.expect("a message in time").expect("more messages").expect("an orderly end")
}

/// All messages until the other side says that it ends.
async fn rest(socket: &mut Socket) -> Vec<Message> {
    let mut out = Vec::new();
    loop {
        match next(socket).await {
            Message::Close(end) => {
                // Without a code kubectl takes it for a cut connection.
                assert_eq!(end.map(|end| end.code), Some(CloseCode::Normal));
                return out;
            }
            message => out.push(message),
        }
    }
}

/// What came on a channel.
fn channel(messages: &[Message], number: u8) -> String {
    let mut out = Vec::new();
    for message in messages {
        let Message::Binary(bytes) = message else { panic!("{message:?}") };
        if bytes[0] == number {
            out.extend_from_slice(&bytes[1..]);
        }
    }
    String::from_utf8(out).unwrap()
}

fn binary(bytes: &'static [u8]) -> Message {
    Message::Binary(bytes.into())
}

async fn bound() -> Server {
    let server = server_with_kubelet().await;
    bind(&server, "p").await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_have_input_that_ends() {
    let server = bound().await;
    let path = format!("{POD}/exec?command=shout&stdin=true&stdout=true&stderr=true");
    let mut socket = open(&server, &path, "v5.channel.k8s.io, v4.channel.k8s.io", V5).await;
    // Sent at once, before any stream is there.
    socket.send(binary(b"\0one ")).await.unwrap();
    assert_eq!(next(&mut socket).await, binary(b"\x01"), "the connection is made");
    socket.send(Message::Ping("are you there".into())).await.unwrap();
    socket.send(binary(b"\0two")).await.unwrap();
    // On no channel, and on one that nobody asked for.
    socket.send(binary(b"\x09nothing")).await.unwrap();
    socket.send(binary(b"\x04{}")).await.unwrap();
    socket.send(binary(b"\xff\0")).await.unwrap();
    socket.send(binary(b"\0late")).await.unwrap();
    let (pongs, messages): (Vec<_>, Vec<_>) = rest(&mut socket).await.into_iter().partition(Message::is_pong);
    assert_eq!(pongs, [Message::Pong("are you there".into())]);
    assert_eq!(channel(&messages, 1), "ready ONE TWO");
    assert_eq!(channel(&messages, 2), "over\n");
    assert_eq!(channel(&messages, 3), STATUS);
}

/// A slow reader's socket is full most of the time, and TLS keeps what finds no room there: the end of the input, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_input_reaches_a_slow_command_to_its_end() {
    const MESSAGE: usize = 64 << 10;
    let server = bound().await;
    for messages in (64..96).step_by(4) {
        let path = format!("{POD}/exec?command=count&stdin=true&stdout=true");
        let mut socket = open(&server, &path, V5, V5).await;
        for _ in 0..messages {
            socket.send(Message::Binary(vec![0; MESSAGE + 1].into())).await.unwrap();
        }
        socket.send(binary(b"\xff\0")).await.unwrap();
        let said = channel(&rest(&mut socket).await, 1);
        assert_eq!(said, format!("ready {}", messages * MESSAGE));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminals_have_a_size() {
    let server = bound().await;
    // A terminal has one output, whatever is asked for.
    let path = format!("{POD}/attach?stdin=true&stdout=true&tty=true");
    let mut socket = open(&server, &path, V5, V5).await;
    socket.send(binary(b"\x04{\"Width\":80,\"Height\":24}")).await.unwrap();
    socket.send(binary(b"\0a\xff")).await.unwrap();
    socket.send(binary(b"\xff\0")).await.unwrap();
    let messages = rest(&mut socket).await;
    assert_eq!(channel(&messages, 3), STATUS);
    let heard: Vec<u8> = messages
        .iter()
        .filter(|m| matches!(m, Message::Binary(b) if b[0] == 1))
        .flat_map(|m| m.clone().into_data()[1..].to_vec())
        .collect();
    assert_eq!(heard, b"ready size {\"Width\":80,\"Height\":24}A\xff");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_told_on_the_channel_of_errors() {
    let server = bound().await;
    let check = async |command: &str, said: &'static [u8], words: &str| {
        let path = format!("{POD}/exec?command={command}&stdin=true&stdout=true");
        let mut socket = open(&server, &path, V5, V5).await;
        if !said.is_empty() {
            assert_eq!(next(&mut socket).await, binary(b"\x01"));
            socket.send(binary(said)).await.unwrap();
        }
        let messages = rest(&mut socket).await;
        let status: Value = serde_json::from_str(&channel(&messages, 3)).unwrap();
        assert_eq!(status["status"], "Failure", "{status}");
        let message = status["message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "{command}: {status}");
    };
    check("refuse", b"", "unable to upgrade connection: container not found (\"c\")").await;
    check("vanish", b"", "did not tell how the command ended").await;
    check("shout", b"\xff\x07", "the end of a channel is 255").await;
    // A command that ends before it has read all is no failure of the connection.
    check("deaf", b"", "non-zero exit code").await;
    // Those who speak no protocol that is served are told before anything is opened.
    let path = format!("{POD}/log");
    let (head, _) = ask(&server, &path, "v9.channel.k8s.io").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    let path = format!("{POD}/exec?command=shout&container=none");
    let (head, _) = ask(&server, &path, V5).await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_protocols_are_the_runtimes() {
    let server = bound().await;
    for (path, protocol) in [
        ("exec?command=sh&command=-c&container=c&stdin=true&stdout=true&tty=true", "channel.k8s.io"),
        ("attach?container=c&stdout=true&stderr=true&stdin=false", "base64.channel.k8s.io"),
        ("portforward?ports=80&ports=81", "v4.channel.k8s.io"),
    ] {
        // A token is for this server alone.
        let offered = format!("base64url.bearer.authorization.k8s.io.c2VjcmV0, {protocol}");
        let (head, mut stream) = ask(&server, &format!("{POD}/{path}"), &offered).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{path}: {head}");
        assert!(head.contains(&format!("sec-websocket-protocol: {protocol}\r\n")), "{path}: {head}");
        // As it was made by whoever grants it.
        assert!(head.contains(&format!("sec-websocket-accept: {KEY}\r\n")), "{path}: {head}");
        stream.write_all(b"hello").await.unwrap();
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"HELLO", "{path}");
    }
    for port in ["0", "65536", "x"] {
        let (head, _) = ask(&server, &format!("{POD}/portforward?ports={port}"), "v4.channel.k8s.io").await;
        assert!(head.starts_with("HTTP/1.1 400"), "{port}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_forwarded_by_spdy_inside() {
    let server = bound().await;
    let protocol = "SPDY/3.1+portforward.k8s.io";
    let mut socket = open(&server, &format!("{POD}/portforward"), protocol, protocol).await;
    let mut echo = Vec::new();
    for part in ["hel", "lo"] {
        socket.send(Message::Binary(part.into())).await.unwrap();
    }
    while echo.len() < 5 {
        let Message::Binary(bytes) = next(&mut socket).await else { panic!("binary only") };
        echo.extend_from_slice(&bytes);
    }
    assert_eq!(echo, b"HELLO");
    socket.close(None).await.unwrap();
    // What the kubelet refuses is refused here, before the protocol changes.
    server
        .post(
            "/api/v1/namespaces/t/pods",
            &json!({"metadata": {"name": "q"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
        )
        .await
        .expect(201);
    bind(&server, "q").await;
    let (head, _) = ask(&server, "/api/v1/namespaces/t/pods/q/portforward", protocol).await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
}

/// As much_input_reaches_a_slow_command_to_its_end, through a forwarded port: a byte that stays away is waited for here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_reaches_a_slow_port() {
    let server = bound().await;
    for bytes in (4_000_000..4_400_000).step_by(50_000) {
        let protocol = "SPDY/3.1+portforward.k8s.io";
        let socket = open(&server, &format!("{POD}/portforward"), protocol, protocol).await;
        let (mut sink, mut source) = socket.split();
        let all = vec![b'a'; bytes];
        let sending = tokio::spawn(async move {
            for part in all.chunks(64 << 10) {
                sink.send(Message::Binary(part.to_vec().into())).await.unwrap();
            }
            sink
        });
        let mut back = 0;
        while back < bytes {
            let message = tokio::time::timeout(Duration::from_secs(10), source.next()).await;
            let message = message.unwrap_or_else(|_| panic!("{back} of {bytes} bytes have come back"));
            back += message.unwrap().unwrap().len();
        }
        drop(sending.await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_come_in_messages() {
    let server = server_with_kubelet().await;
    let path = format!("{POD}/log?container=c");
    // Not scheduled yet: nothing to show is no error.
    let mut socket = open(&server, &path, "binary.k8s.io", "binary.k8s.io").await;
    assert_eq!(rest(&mut socket).await, [binary(b"")]);
    bind(&server, "p").await;
    let text = |text: &'static str| Message::Text(text.into());
    let lines = [binary(b""), binary(b"one\n"), binary(b"two\n")];
    for (protocol, want) in [
        ("binary.k8s.io", lines.clone()),
        ("", lines),
        ("base64.binary.k8s.io", [text(""), text("b25lCg=="), text("dHdvCg==")]),
    ] {
        let mut socket = open(&server, &path, protocol, protocol).await;
        assert_eq!(rest(&mut socket).await, want, "{protocol}");
    }
    let (head, _) = ask(&server, &format!("{POD}/log?container=x"), "binary.k8s.io").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_come_in_messages() {
    let server = server_with_kubelet().await;
    server.config_map("a", json!({})).await;
    let path = "/api/v1/namespaces/t/configmaps?watch=true&timeoutSeconds=2";
    let mut socket = open(&server, path, "", "").await;
    server.config_map("b", json!({})).await;
    let seen: Vec<String> = rest(&mut socket)
        .await
        .into_iter()
        .map(|message| {
            let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            format!(
                "{} {}",
                event["type"].as_str().unwrap(),
                event["object"]["metadata"]["name"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(seen, ["ADDED a", "ADDED b"]);
    let (head, _) = ask(&server, "/api/v1/namespaces/t/configmaps?watch=true&labelSelector=!!", "").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
}

/// A WebSocket is asked for by GET and is a creation: it needs both permissions. SPDY by POST needs one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_creations() {
    let server = bound().await;
    let follow = server.api.core().auth.follow();
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/t";
    for (name, verbs) in
        [("getter", json!(["get"])), ("creator", json!(["create"])), ("both", json!(["get", "create"]))]
    {
        let rule = json!({"apiGroups": [""], "resources": ["pods/exec", "pods/attach", "pods/portforward"], "verbs": verbs});
        let role = json!({"metadata": {"name": name}, "rules": [rule]});
        server.post(&format!("{rbac}/roles"), &role).await.expect(201);
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
        });
        server.post(&format!("{rbac}/rolebindings"), &binding).await.expect(201);
    }
    // Without an upgrade what is allowed is a 400.
    let answer = async |user: &str, method: &str, what: &str| {
        let user = Arc::new(UserInfo { username: user.to_owned(), ..UserInfo::default() });
        let request = Request::builder().method(method).uri(format!("{POD}/{what}?command=ls"));
        server.send_as(&user, request.body(Body::empty()).unwrap()).await
    };
    for _ in 0..200 {
        if answer("both", "GET", "exec").await.code == 400 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    for what in ["exec", "attach", "portforward"] {
        let check = async |user: &str, method: &str, code: u16, verb: &str| {
            let message = answer(user, method, what).await.expect(code)["message"].to_string();
            assert!(
                message.contains(&format!("cannot {verb} resource")) || code == 400,
                "{user} {method} {what}: {message}"
            );
        };
        check("both", "GET", 400, "").await;
        check("both", "POST", 400, "").await;
        check("creator", "POST", 400, "").await;
        check("creator", "GET", 403, "get").await;
        check("getter", "GET", 403, "create").await;
        check("getter", "POST", 403, "create").await;
    }
    follow.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_client_that_goes_away() {
    let server = bound().await;
    let open_ones = async |want: &str| {
        let wanted = format!("apiserver_longrunning_requests {want}");
        for _ in 0..400 {
            if server.get("/metrics").await.text().lines().any(|line| line == wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("never: {wanted}");
    };
    let tunnel = "SPDY/3.1+portforward.k8s.io";
    for (path, protocol) in [
        (format!("{POD}/exec?command=shout&stdin=true&stdout=true"), V5),
        (format!("{POD}/portforward"), tunnel),
        ("/api/v1/namespaces/t/configmaps?watch=true".to_owned(), ""),
    ] {
        let socket = open(&server, &path, protocol, protocol).await;
        open_ones("1").await;
        drop(socket);
        open_ones("0").await;
    }
}
