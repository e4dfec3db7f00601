//! The harness of the crate's tests: a whole server on a real store in a directory of its own, driven in process.

mod behaviour;

mod evictions;
mod exchanges;
mod expiries;
mod kubectls;
mod kubelets;
mod lists;
mod proxies;
mod repairs;
mod runtimes;
mod sockets;
mod tls;
mod watches;

use crate::auth::{Auth, AuthConfig};
use crate::{ApiConfig, ApiServer};
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Request};
use keelson_api::identity::UserInfo;
use keelson_store::{Options, Store};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tower::ServiceExt;

/// A server and its directory, which goes with it.
pub struct Server {
    pub api: ApiServer,
    pub store: Store,
    pub user: Arc<UserInfo>,
    pub ca: Authority,
    directory: TempDir,
}

/// A certificate authority for one test.
pub struct Authority {
    pub certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "test-ca");
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: rcgen::Issuer::new(params, key) }
    }

    /// Certificate and key in PEM, for a server at 127.0.0.1 or for the user `name` in `groups`.
    pub fn issue(&self, name: &str, groups: &[&str]) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        for group in groups {
            params.distinguished_name.push(rcgen::DnType::OrganizationName, *group);
        }
        params.extended_key_usages =
            vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth, rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A reply, read to its end.
pub struct Answer {
    pub code: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body, after a check of the code.
    #[track_caller]
    pub fn expect(&self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", self.text());
        self.json()
    }
}

/// The administrator that the recorded exchanges were made by.
pub fn admin() -> Arc<UserInfo> {
    let mut user = UserInfo::component("admin");
    user.groups.insert(0, "system:masters".to_owned());
    Arc::new(user)
}

impl Server {
    /// An empty server with the namespaces of every cluster and `t`, which has a service account.
    pub async fn start() -> Server {
        Server::with_config(ApiConfig { advertise: "192.0.2.2:16443".to_owned(), ..ApiConfig::default() })
            .await
    }

    pub async fn with_config(config: ApiConfig) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::new(directory.path().join("store"));
        Server::on(config, options, directory).await
    }

    pub async fn on(config: ApiConfig, options: Options, directory: TempDir) -> Server {
        let server = Server::open(config, options, directory).await;
        for name in ["default", "kube-system", "kube-public", "t"] {
            server.post("/api/v1/namespaces", &json!({"metadata": {"name": name}})).await.expect(201);
        }
        let account = json!({"metadata": {"name": "default"}});
        server.post("/api/v1/namespaces/t/serviceaccounts", &account).await.expect(201);
        server
    }

    /// Closes the server and opens another one on the same directory.
    pub async fn restart(self) -> Server {
        let Server { api, store, directory, .. } = self;
        api.shutdown();
        drop(api);
        store.shutdown().await;
        let options = Options::new(directory.path().join("store"));
        Server::open(ApiConfig::default(), options, directory).await
    }

    async fn open(config: ApiConfig, options: Options, directory: TempDir) -> Server {
        let store = Store::open(options).await.unwrap();
        let ca = Authority::new();
        let key = rcgen::KeyPair::generate().unwrap();
        let auth = Auth::new(
            AuthConfig {
                client_ca: vec![ca.certificate.der().clone()],
                signing_key_pem: key.serialize_pem(),
                issuer: "https://kubernetes.default.svc.cluster.local".to_owned(),
                api_audiences: vec!["https://kubernetes.default.svc.cluster.local".to_owned()],
                jwks_uri: "https://192.0.2.2:16443/openid/v1/jwks".to_owned(),
            },
            store.clone(),
        )
        .unwrap();
        let api = ApiServer::new(config, store.clone(), auth);
        api.set_ready();
        Server { api, store, user: admin(), ca, directory }
    }

    /// Sends a request as the administrator and reads the whole reply.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.send_as(&self.user, request).await
    }

    pub async fn send_as(&self, user: &Arc<UserInfo>, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(Arc::clone(user));
        let reply = self.api.router().oneshot(request).await.unwrap();
        let (parts, body) = reply.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { code: parts.status.as_u16(), headers: parts.headers, bytes }
    }

    pub async fn call(&self, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "", Body::empty()).await
    }

    /// A GET for another form than JSON as it stands.
    pub async fn get_as(&self, path: &str, accept: &str) -> Answer {
        let request = Request::builder().uri(path).header("accept", accept).body(Body::empty()).unwrap();
        self.send(request).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, "application/json", body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path, "application/json", body.to_string()).await
    }

    pub async fn merge(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path, "application/merge-patch+json", body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, "", Body::empty()).await
    }

    /// Makes a ConfigMap and returns it.
    pub async fn config_map(&self, name: &str, labels: Value) -> Value {
        let body = json!({"metadata": {"name": name, "labels": labels}, "data": {"k": "v"}});
        self.post("/api/v1/namespaces/t/configmaps", &body).await.expect(201)
    }

    /// Opens a watch.
    pub async fn watch(&self, path: &str) -> Watch {
        self.watch_as(path, "application/json").await
    }

    pub async fn watch_as(&self, path: &str, accept: &str) -> Watch {
        let mut request = Request::builder().uri(path).header("accept", accept).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Arc::clone(&self.user));
        let reply = self.api.router().oneshot(request).await.unwrap();
        let code = reply.status().as_u16();
        Watch { code, body: reply.into_body().into_data_stream().boxed(), rest: Vec::new() }
    }
}

/// An open watch.
pub struct Watch {
    pub code: u16,
    body: futures::stream::BoxStream<'static, Result<Bytes, axum::Error>>,
    rest: Vec<u8>,
}

impl Watch {
    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let wait = Duration::from_secs(20);
            let Some(chunk) = tokio::time::timeout(wait, self.body.next()).await.expect("an event in time")
            else {
                assert!(self.rest.is_empty(), "{}: {}", self.code, String::from_utf8_lossy(&self.rest));
                return None;
            };
            self.rest.extend_from_slice(&chunk.unwrap());
        }
    }

    /// The next event as `TYPE name`.
    pub async fn brief(&mut self) -> String {
        let event = self.next().await.expect("an event");
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
        format!("{} {name}", event["type"].as_str().unwrap_or_default())
    }

    /// Whether nothing comes for a moment.
    pub async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(150), self.next()).await.is_err()
    }
}
