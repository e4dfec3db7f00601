//! The listener: TLS with and without client certificates, HTTP/2 and HTTP/1.1, the ends of things.

use super::Server;
use crate::serve::{self, tls::ServerCertificate};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinHandle;

type Https = Client<hyper_rustls::HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A server that listens.
struct Listening {
    server: Server,
    address: SocketAddr,
    certificate: Arc<ServerCertificate>,
    task: JoinHandle<()>,
}

async fn listen() -> Listening {
    let server = Server::start().await;
    let listener = serve::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (pem, key) = server.ca.issue("kube-apiserver", &[]);
    let certificate = ServerCertificate::from_pem(pem.as_bytes(), key.as_bytes()).unwrap();
    let (api, shown) = (server.api.clone(), Arc::clone(&certificate));
    let task = tokio::spawn(async move { api.serve_tls(listener, shown).await });
    Listening { server, address, certificate, task }
}

impl Listening {
    /// A client that trusts the server's CA; `identity` is its certificate and key.
    fn client(&self, identity: Option<(String, String)>, http2: bool) -> Https {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.server.ca.certificate.der().clone()).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(serve::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity {
            Some((pem, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config).https_only();
        let connector =
            if http2 { connector.enable_http2().build() } else { connector.enable_http1().build() };
        Client::builder(TokioExecutor::new()).build(connector)
    }

    async fn get(&self, client: &Https, path: &str) -> (u16, Version, Value) {
        let uri = format!("https://{}{path}", self.address);
        let request = Request::builder().uri(uri).body(Full::default()).unwrap();
        let reply = client.request(request).await.unwrap();
        let (code, version) = (reply.status().as_u16(), reply.version());
        let bytes = reply.into_body().collect().await.unwrap().to_bytes();
        (code, version, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// The body of a watch of ConfigMaps.
    async fn watch(&self, client: &Https) -> hyper::body::Incoming {
        let uri = format!("https://{}{MAPS}?watch=1", self.address);
        let request = Request::builder().uri(uri).body(Full::default()).unwrap();
        client.request(request).await.unwrap().into_body()
    }
}

const MAPS: &str = "/api/v1/namespaces/t/configmaps";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_with_a_certificate() {
    let listening = listen().await;
    let admin = listening.server.ca.issue("boss", &["system:masters"]);
    let (code, version, list) = listening.get(&listening.client(Some(admin.clone()), true), MAPS).await;
    assert_eq!((code, version, &list["kind"]), (200, Version::HTTP_2, &"ConfigMapList".into()));
    let (code, version, _) = listening.get(&listening.client(Some(admin), false), MAPS).await;
    assert_eq!((code, version), (200, Version::HTTP_11));
    let nobody = listening.client(None, true);
    assert_eq!(listening.get(&nobody, MAPS).await.0, 403);
    assert_eq!(listening.get(&nobody, "/nope").await.0, 403);
    let stranger = super::Authority::new().issue("boss", &["system:masters"]);
    assert_eq!(listening.get(&listening.client(Some(stranger), true), MAPS).await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_swapped_while_running() {
    let listening = listen().await;
    let admin = listening.server.ca.issue("boss", &["system:masters"]);
    assert_eq!(listening.get(&listening.client(Some(admin.clone()), true), "/livez").await.0, 200);
    let other = super::Authority::new().issue("kube-apiserver", &[]);
    listening.certificate.swap(other.0.as_bytes(), other.1.as_bytes()).unwrap();
    let uri = format!("https://{}/livez", listening.address);
    let request = Request::builder().uri(uri).body(Full::default()).unwrap();
    let refused = listening.client(Some(admin), true).request(request).await;
    assert!(refused.is_err(), "a new connection sees the new certificate, which is of another CA");
    assert!(ServerCertificate::from_pem(b"nonsense", b"nonsense").is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_said_clearly() {
    let first = serve::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = first.local_addr().unwrap();
    let error = serve::bind(address).await.unwrap_err().to_string();
    let want = format!(
        "cannot listen on {address}: the port is in use by another process; stop it or choose another port"
    );
    assert_eq!(error, want);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_watches_and_connections() {
    let listening = listen().await;
    let admin = listening.server.ca.issue("boss", &["system:masters"]);
    let client = listening.client(Some(admin.clone()), true);
    // Two that wait for nothing, and whose clients keep them.
    let idle = [listening.client(Some(admin.clone()), true), listening.client(Some(admin), false)];
    for client in &idle {
        assert_eq!(listening.get(client, "/livez").await.0, 200);
    }
    let watch = listening.watch(&client).await;
    listening.server.api.shutdown();
    let rest = watch.collect().await.unwrap().to_bytes();
    assert!(rest.is_empty());
    // In order, well before connections would be cut.
    let wait = std::time::Duration::from_secs(5);
    tokio::time::timeout(wait, listening.task).await.expect("the listener ends").unwrap();
    drop((client, idle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_before_the_end_is_still_told() {
    let listening = listen().await;
    let admin = listening.server.ca.issue("boss", &["system:masters"]);
    let client = listening.client(Some(admin), true);
    let watch = listening.watch(&client).await;
    listening.server.config_map("last", json!({})).await;
    listening.server.api.shutdown();
    let rest = watch.collect().await.unwrap().to_bytes();
    let event: Value = serde_json::from_slice(&rest).unwrap();
    assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("last")));
}

/// A stream that nobody reads holds up neither the other streams of its connection nor itself for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_hears_everything_later() {
    const EVENTS: usize = 40;
    let listening = listen().await;
    let admin = listening.server.ca.issue("boss", &["system:masters"]);
    let client = listening.client(Some(admin), true);
    let watch = listening.watch(&client).await;
    // Several times what a stream's window and the buffers on the way hold.
    let text = "y".repeat(100_000);
    for n in 0..EVENTS {
        let body = json!({"metadata": {"name": format!("m{n:02}")}, "data": {"k": text}});
        listening.server.post(MAPS, &body).await.expect(201);
        assert_eq!(listening.get(&client, "/livez").await.0, 200);
    }
    listening.server.api.shutdown();
    let rest = watch.collect().await.unwrap().to_bytes();
    let seen: Vec<_> = serde_json::Deserializer::from_slice(&rest)
        .into_iter::<Value>()
        .map(|event| event.unwrap()["object"]["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(seen, (0..EVENTS).map(|n| format!("m{n:02}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_are_bounded() {
    let listening = listen().await;
    let admin = listening.server.ca.issue("boss", &["system:masters"]);
    let client = listening.client(Some(admin), false);
    let uri = format!("https://{}/livez", listening.address);
    let request =
        Request::builder().uri(uri).header("x-long", "y".repeat(200_000)).body(Full::default()).unwrap();
    let refused = match client.request(request).await {
        Ok(reply) => reply.status().is_client_error(),
        Err(_) => true,
    };
    assert!(refused);
    assert_eq!(listening.get(&client, "/livez").await.0, 200, "others are served");
}
