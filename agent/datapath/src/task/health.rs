//! What load balancers ask a node: whether a Service whose traffic stays on the node has endpoints here.
//!
//! One small HTTP server for each `healthCheckNodePort`, on every address of the node. Nothing but the Service's
//! name and its number of endpoints is told, to whoever asks: load balancers have no credentials.

use crate::tables::HealthCheck;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections that one server holds at once; more wait in the listen queue.
const CONNECTIONS_MAX: usize = 64;
/// A client that has not sent its request by then is dropped.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// A whole exchange; load balancers ask again on new connections.
const CONNECTION_MAX: Duration = Duration::from_secs(30);

/// What is answered now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    check: HealthCheck,
    /// Whether the node's tables hold what the cluster wants.
    healthy: bool,
}

#[derive(Debug)]
struct Server {
    answer: watch::Sender<Answer>,
    /// Ends with the server.
    _task: JoinSet<()>,
}

/// The servers, by port.
#[derive(Debug, Default)]
pub struct HealthServers(BTreeMap<u16, Server>);

impl HealthServers {
    /// Starts, stops and updates servers until they are those of `wanted`. A port that cannot be had is tried again
    /// with the next call.
    pub async fn set(&mut self, wanted: &BTreeMap<u16, HealthCheck>, healthy: bool) {
        self.0.retain(|port, _| wanted.contains_key(port));
        for (port, check) in wanted {
            let answer = Answer { check: check.clone(), healthy };
            if let Some(server) = self.0.get(port) {
                server.answer.send_if_modified(|now| std::mem::replace(now, answer.clone()) != answer);
                continue;
            }
            match Server::start(*port, answer).await {
                Ok(server) => drop(self.0.insert(*port, server)),
                Err(error) => {
                    let (namespace, name) = (&check.namespace, &check.name);
                    tracing::warn!(port, namespace, name, %error, "healthCheckNodePort cannot be served");
                }
            }
        }
    }
}

impl Server {
    async fn start(port: u16, answer: Answer) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], port))).await?;
        let (sender, receiver) = watch::channel(answer);
        let mut task = JoinSet::new();
        task.spawn(accept(listener, receiver));
        Ok(Self { answer: sender, _task: task })
    }
}

async fn accept(listener: TcpListener, answer: watch::Receiver<Answer>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Connections end with their server.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let answer = answer.clone();
                connections.spawn(async move {
                    // Who breaks off or takes too long is not waited for.
                    let _ = tokio::time::timeout(CONNECTION_MAX, serve(stream, answer)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "accepting a health check");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, answer: watch::Receiver<Answer>) -> Result<(), hyper::Error> {
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let response = answer.borrow().respond(request.method());
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT).keep_alive(false);
    builder.serve_connection(TokioIo::new(stream), service).await
}

impl Answer {
    /// As kube-proxy answers, on every path; some load balancers look at the body or at the weight.
    fn respond(&self, method: &Method) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut refusal = Response::new(Full::default());
            *refusal.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            return refusal;
        }
        let HealthCheck { namespace, name, local_endpoints } = &self.check;
        let body = json!({
            "service": {"namespace": namespace, "name": name},
            "localEndpoints": local_endpoints,
            "serviceProxyHealthy": self.healthy,
        });
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        if *local_endpoints == 0 || !self.healthy {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert("x-load-balancing-endpoint-weight", HeaderValue::from(*local_endpoints));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn check(local_endpoints: usize) -> HealthCheck {
        HealthCheck { namespace: "default".to_owned(), name: "web".to_owned(), local_endpoints }
    }

    async fn ask(port: u16) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: n\r\n\r\n").await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        Some(text)
    }

    #[test]
    fn it_is_ok_while_there_are_endpoints_and_the_tables_are_written() {
        for (local_endpoints, healthy, expected) in [(2, true, 200), (0, true, 503), (2, false, 503)] {
            let answer = Answer { check: check(local_endpoints), healthy };
            assert_eq!(answer.respond(&Method::GET).status(), expected, "{answer:?}");
        }
        let answer = Answer { check: check(1), healthy: true };
        assert_eq!(answer.respond(&Method::POST).status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn servers_come_change_and_go() {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mut servers = HealthServers::default();
        servers.set(&BTreeMap::from([(port, check(0))]), true).await;
        let answer = ask(port).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        servers.set(&BTreeMap::from([(port, check(3))]), true).await;
        let answer = ask(port).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("x-load-balancing-endpoint-weight: 3\r\n"), "{answer}");
        let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(
            body,
            json!({"service": {"namespace": "default", "name": "web"}, "localEndpoints": 3, "serviceProxyHealthy": true})
        );
        servers.set(&BTreeMap::new(), true).await;
        // The task is aborted, not awaited.
        for _ in 0..100 {
            if ask(port).await.is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody answers any more");
    }
}
