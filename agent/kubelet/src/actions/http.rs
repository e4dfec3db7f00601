//! One HTTP GET as probes and hooks make it: no certificate check, redirects only within the host.

use super::url::Url;
use super::words;
use crate::pod::Pod;
use crate::pod::spec::HttpAction;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use keelson_client::unverified;
use rustls_pki_types::ServerName;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;

/// As much of a body as is read; the rest is not looked at.
const BODY_BYTES_MAX: usize = 10 << 10;
/// As many redirects as Go's client follows.
const REDIRECTS_MAX: usize = 10;
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

pub(super) struct Get<'a> {
    pub(super) action: &'a HttpAction,
    pub(super) pod: &'a Pod,
    pub(super) container: &'a str,
    pub(super) ip: &'a str,
    pub(super) limit: Duration,
    pub(super) agent: &'a str,
}

/// A port by number, or by the name of one of the container's ports.
pub(super) fn port(value: &Value, pod: &Pod, container: &str) -> Result<u16, String> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok().or_else(|| {
            let ports = pod.container(container).map(|c| c.ports.as_slice()).unwrap_or_default();
            ports.iter().find(|p| p.name == *text).and_then(|p| u64::try_from(p.container_port).ok())
        }),
        _ => None,
    };
    number
        .and_then(|n| u16::try_from(n).ok())
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("couldn't find port: {value}"))
}

/// Status and the beginning of the body. The error is the reason in words. A redirect to the same host is followed;
/// one to another host is an answer, as no probe may be led elsewhere.
pub(super) async fn get(get: Get<'_>) -> Result<(u16, String), String> {
    let action = get.action;
    let host = if action.host.is_empty() { get.ip } else { action.host.as_str() };
    let port = port(&action.port, get.pod, get.container)?;
    let mut url = Url::new(&action.scheme, host, port, &action.path);
    let end = tokio::time::Instant::now() + get.limit;
    for _ in 0..=REDIRECTS_MAX {
        let failed = |why: &str| format!("Get \"{url}\": {why}");
        let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        let answer = tokio::time::timeout_at(end, exchange(&get, &url)).await.map_err(|_| failed(late))?;
        let answer = answer.map_err(|why| failed(&why))?;
        let next =
            answer.location.as_deref().and_then(|to| url.join(to)).filter(|next| next.host == url.host);
        match next {
            Some(next) => url = next,
            None => return Ok((answer.status, answer.body)),
        }
    }
    Err(format!("Get \"{url}\": stopped after {REDIRECTS_MAX} redirects"))
}

/// One reply.
struct Answer {
    status: u16,
    /// Where a redirect leads.
    location: Option<String>,
    body: String,
}

async fn exchange(get: &Get<'_>, url: &Url) -> Result<Answer, String> {
    let target = url.authority();
    let dialled = TcpStream::connect((url.host.as_str(), url.port)).await;
    let stream = dialled.map_err(|e| words::dial(&target, &e))?;
    let request = request(get, url, &target)?;
    if url.https {
        let name = ServerName::try_from(url.host.clone()).map_err(|e| e.to_string())?;
        // Probes ask whether a server answers, not who it is (as the API documents for `scheme: HTTPS`).
        let connector = tokio_rustls::TlsConnector::from(unverified::config());
        let stream = connector.connect(name, stream).await.map_err(|e| words::exchange(&e))?;
        return send(TokioIo::new(stream), request).await;
    }
    send(TokioIo::new(stream), request).await
}

fn request(get: &Get<'_>, url: &Url, target: &str) -> Result<http::Request<Empty<Bytes>>, String> {
    let headers = &get.action.http_headers;
    let named = |name: &str| headers.iter().any(|h| h.name.eq_ignore_ascii_case(name));
    let mut request = http::Request::get(url.path.as_str());
    if !named("host") {
        request = request.header(http::header::HOST, target);
    }
    if !named("user-agent") {
        request = request.header(http::header::USER_AGENT, get.agent);
    }
    if !named("accept") {
        request = request.header(http::header::ACCEPT, "*/*");
    }
    request = request.header(http::header::CONNECTION, "close");
    for header in headers.iter().filter(|h| !h.value.is_empty() || !h.name.eq_ignore_ascii_case("accept")) {
        request = request.header(header.name.as_str(), header.value.as_str());
    }
    request.body(Empty::new()).map_err(|e| e.to_string())
}

async fn send<S>(stream: TokioIo<S>, request: http::Request<Empty<Bytes>>) -> Result<Answer, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(|e| words::exchange(&e))?;
    let connection = tokio::spawn(connection);
    let reply = sender.send_request(request).await.map_err(|e| words::exchange(&e));
    let result = match reply {
        Ok(reply) => {
            let status = reply.status().as_u16();
            let location =
                reply.headers().get(http::header::LOCATION).filter(|_| REDIRECTS.contains(&status));
            let location = location.and_then(|l| l.to_str().ok()).map(str::to_owned);
            let body = Limited::new(reply.into_body(), BODY_BYTES_MAX).collect().await;
            let body = body.map(|b| b.to_bytes()).unwrap_or_default();
            Ok(Answer { status, location, body: String::from_utf8_lossy(&body).into_owned() })
        }
        Err(error) => Err(error),
    };
    connection.abort();
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers each connection with what `answer` makes of the request's text.
    async fn serve(answer: fn(u16, &str) -> String) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                reply(stream, port, answer).await;
            }
        });
        port
    }

    async fn reply(
        mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        port: u16,
        answer: fn(u16, &str) -> String,
    ) {
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await.unwrap_or(0);
        let text = answer(port, std::str::from_utf8(&head[..length]).unwrap());
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    async fn ask(port: u16, mut action: Value) -> Result<(u16, String), String> {
        let own = action.as_object_mut().unwrap();
        own.entry("port").or_insert(json!(port));
        let action: HttpAction = serde_json::from_value(action).unwrap();
        let pod = Pod::default();
        let limit = Duration::from_secs(1);
        get(Get {
            action: &action,
            pod: &pod,
            container: "c",
            ip: "127.0.0.1",
            limit,
            agent: "kube-probe/1.36",
        })
        .await
    }

    #[tokio::test]
    async fn requests_say_what_the_probe_says() {
        let port = serve(|_, request| format!("HTTP/1.1 200 OK\r\n\r\n{request}")).await;
        let (status, text) = ask(port, json!({"path": "a?b=c"})).await.unwrap();
        assert_eq!(status, 200);
        assert!(text.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{text}");
        for expect in
            [&format!("host: 127.0.0.1:{port}\r\n"), "user-agent: kube-probe/1.36\r\n", "accept: */*\r\n"]
        {
            assert!(text.contains(expect), "{expect}: {text}");
        }
        let headers = json!([{"name": "Host", "value": "web.example"}, {"name": "User-Agent", "value": "me"},
                             {"name": "Accept", "value": ""}, {"name": "X", "value": "1"}, {"name": "X", "value": "2"}]);
        let (_, text) = ask(port, json!({"host": "localhost", "httpHeaders": headers})).await.unwrap();
        for expect in
            ["GET / HTTP/1.1\r\n", "host: web.example\r\n", "user-agent: me\r\n", "x: 1\r\nx: 2\r\n"]
        {
            assert!(text.contains(expect), "{expect}: {text}");
        }
        assert!(!text.contains("accept"), "{text}");
    }

    #[tokio::test]
    async fn redirects_stay_within_the_host() {
        let port = serve(|port, request| {
            let location = match request.split(' ').nth(1).unwrap() {
                "/twice" => "/once",
                "/once" => &format!("http://127.0.0.1:{port}/there"),
                "/away" => "http://192.0.2.1/",
                "/round" => "/round",
                "/there" => return "HTTP/1.1 404 Not Found\r\n\r\n".to_owned(),
                _ => return "HTTP/1.1 302 Found\r\n\r\nnowhere".to_owned(),
            };
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n")
        })
        .await;
        let status = async |path: &str| ask(port, json!({"path": path})).await.map(|(status, _)| status);
        assert_eq!(status("/twice").await, Ok(404));
        assert_eq!(status("/away").await, Ok(302));
        assert_eq!(status("/else").await, Ok(302));
        let round = status("/round").await.unwrap_err();
        assert_eq!(round, format!("Get \"http://127.0.0.1:{port}/round\": stopped after 10 redirects"));
    }

    #[tokio::test]
    async fn failures_in_the_words_of_events() {
        let port = serve(|_, _| String::new()).await;
        let url = |port: u16| format!("Get \"http://127.0.0.1:{port}/\": ");
        assert_eq!(ask(port, json!({})).await.unwrap_err(), format!("{}EOF", url(port)));
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        assert_eq!(ask(port, json!({})).await.unwrap_err(), format!("{}{late}", url(port)));
        drop(silent);
        let refused = format!("{}dial tcp 127.0.0.1:{port}: connect: connection refused", url(port));
        assert_eq!(ask(port, json!({})).await.unwrap_err(), refused);
        assert_eq!(ask(port, json!({"port": "web"})).await.unwrap_err(), "couldn't find port: \"web\"");
    }

    #[tokio::test]
    async fn any_certificate_will_do() {
        let key = rcgen::generate_simple_self_signed(vec!["elsewhere.example".to_owned()]).unwrap();
        let private = rustls_pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            reply(stream, port, |_, _| "HTTP/1.1 204 No Content\r\n\r\n".to_owned()).await;
        });
        assert_eq!(ask(port, json!({"scheme": "HTTPS"})).await, Ok((204, String::new())));
    }
}
