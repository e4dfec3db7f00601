//! Controllers and scheduler on the real API server and store, with the identities and default roles of a
//! cluster. Only the node agents are played: `agent.rs` says what it models.

mod agent;
mod elections;
mod identity;
mod ownership;
mod workloads;

use crate::{ControllerConfig, Controllers, ControllersHandle, Signer};
use agent::Agent;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use keelson_api::identity::UserInfo;
use keelson_apiserver::auth::rbac::defaults;
use keelson_apiserver::auth::{Auth, AuthConfig};
use keelson_apiserver::{ApiConfig, ApiServer};
use keelson_client::{
    BoxError, Client, Error, ListParams, Resource, ResponseBody, Transport, TransportError,
};
use keelson_scheduler::{Scheduler, SchedulerConfig, SchedulerHandle};
use keelson_store::{Options, Store};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tower::ServiceExt;

/// How long a scenario waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls the API's router as one user.
struct InProcess(Router, Arc<UserInfo>);

impl Transport for InProcess {
    fn call(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'static, Result<Response<ResponseBody>, TransportError>> {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(self.1.clone());
        let answer = self.0.clone().oneshot(request);
        Box::pin(async move {
            let response = answer.await.map_err(TransportError::new)?;
            Ok(response.map(|body| ResponseBody::new(body.map_err(|e| -> BoxError { e.into() }))))
        })
    }
}

/// A control plane in a folder of its own, which goes with it.
struct Cluster {
    router: Router,
    admin: Client,
    controllers: Option<ControllersHandle>,
    scheduler: Option<SchedulerHandle>,
    agents: Vec<Agent>,
    api: ApiServer,
    store: Option<Store>,
    _directory: TempDir,
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    let mut user = UserInfo::component(name);
    user.groups.extend(groups.iter().map(|g| g.to_string()));
    user
}

fn identity(name: &str) -> UserInfo {
    match name {
        "kube-controller-manager" => UserInfo::component("system:kube-controller-manager"),
        controller => UserInfo::service_account("kube-system", controller),
    }
}

fn certificate_authority() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "test-ca");
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

impl Cluster {
    /// A control plane with `nodes` nodes that are ready.
    async fn start(nodes: usize) -> Self {
        Self::start_with(nodes, |_| {}).await
    }

    async fn start_with(nodes: usize, change: impl Fn(&mut ControllerConfig)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(Options::new(directory.path().join("store"))).await.unwrap();
        let (ca_pem, ca_key_pem) = certificate_authority();
        let auth = AuthConfig {
            client_ca: vec![CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()],
            signing_key_pem: rcgen::KeyPair::generate().unwrap().serialize_pem(),
            issuer: "https://kubernetes.default.svc.cluster.local".to_owned(),
            api_audiences: vec!["https://kubernetes.default.svc.cluster.local".to_owned()],
            jwks_uri: "https://192.0.2.2:6443/openid/v1/jwks".to_owned(),
        };
        let auth = Auth::new(auth, store.clone()).unwrap();
        let api = ApiServer::new(ApiConfig::default(), store.clone(), auth);
        api.set_ready();
        let router = api.router();
        let admin = client(&router, user("admin", &["system:masters"]));
        bootstrap(&admin).await;

        let mut config = ControllerConfig::new(&ca_pem, "10.244.0.0/16", 1).unwrap();
        config.signer = Some(Signer::new(&ca_pem, &ca_key_pem).unwrap());
        change(&mut config);
        let controllers = {
            let router = router.clone();
            Controllers::start(config, move |name| client(&router, identity(name)))
        };
        let scheduler = client(&router, UserInfo::component("system:kube-scheduler"));
        let scheduler = Scheduler::start(SchedulerConfig::default(), scheduler);
        let mut agents = Vec::new();
        for index in 0..nodes {
            let name = format!("n{index}");
            agents.push(Agent::start(&router, &name).await);
        }
        let cluster = Self {
            router,
            admin,
            controllers: Some(controllers),
            scheduler: Some(scheduler),
            agents,
            api,
            store: Some(store),
            _directory: directory,
        };
        // A node that is still coming up takes no pods.
        cluster
            .until("nodes that take pods", async |c| {
                let all = c.list(&Resource::NODES, "").await;
                let open = |n: &&Value| n["spec"]["taints"].as_array().is_none_or(Vec::is_empty);
                let ready = |n: &&Value| {
                    let conditions = n["status"]["conditions"].as_array();
                    conditions
                        .is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
                };
                all.iter().filter(open).filter(ready).count() == nodes
            })
            .await;
        // Pods are refused before their namespace has its account.
        cluster
            .until("a service account", async |c| {
                c.get(&Resource::SERVICE_ACCOUNTS, "t", "default").await.is_some()
            })
            .await;
        cluster
    }

    async fn stop(mut self) {
        self.agents.clear();
        if let Some(controllers) = self.controllers.take() {
            controllers.shutdown().await;
        }
        if let Some(scheduler) = self.scheduler.take() {
            scheduler.shutdown().await;
        }
        self.api.shutdown();
        if let Some(store) = self.store.take() {
            store.shutdown().await;
        }
    }

    async fn create(&self, resource: &Resource, namespace: &str, body: Value) -> Value {
        self.admin.create(resource, namespace, &body).await.unwrap()
    }

    async fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Value> {
        match self.admin.get(resource, namespace, name).await {
            Ok(object) => Some(object),
            Err(e) if e.is_not_found() => None,
            Err(e) => panic!("{e}"),
        }
    }

    async fn list(&self, resource: &Resource, namespace: &str) -> Vec<Value> {
        self.admin.list_all(resource, namespace, &ListParams::default()).await.unwrap().items
    }

    /// Waits until a look at the cluster shows what is wanted, and tells how long it took.
    async fn until<F: AsyncFn(&Self) -> bool>(&self, what: &str, holds: F) -> Duration {
        let begin = Instant::now();
        while !holds(self).await {
            assert!(begin.elapsed() < PATIENCE, "never: {what}\n{}", self.picture().await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        begin.elapsed()
    }

    /// The namespace `t` as it stands, for the message of a failure.
    async fn picture(&self) -> String {
        let mut picture = String::new();
        for resource in
            [Resource::DEPLOYMENTS, Resource::REPLICA_SETS, Resource::PODS, Resource::ENDPOINT_SLICES]
        {
            for object in self.list(&resource, "t").await {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                picture.push_str(&format!(
                    "{}/{name} {} {}\n",
                    resource.plural, object["metadata"]["deletionTimestamp"], object["status"]
                ));
            }
        }
        picture
    }
}

fn client(router: &Router, user: UserInfo) -> Client {
    Client::new(Arc::new(InProcess(router.clone(), Arc::new(user))), "test")
}

/// The namespaces and the default roles of every cluster, and the namespace `t`.
async fn bootstrap(admin: &Client) {
    for name in ["default", "kube-system", "kube-public", "kube-node-lease", "t"] {
        create_once(admin, &Resource::NAMESPACES, "", &json!({"metadata": {"name": name}})).await;
    }
    let (bindings, roles): (Vec<_>, Vec<_>) =
        defaults().into_iter().partition(|d| d.resource.plural.ends_with("bindings"));
    for objects in [roles, bindings] {
        futures::stream::iter(objects)
            .for_each_concurrent(32, |d| async move {
                create_once(admin, &d.resource, &d.namespace, &d.object).await;
            })
            .await;
    }
}

async fn create_once(admin: &Client, resource: &Resource, namespace: &str, body: &Value) {
    match admin.create::<Value>(resource, namespace, body).await {
        Ok(_) => {}
        Err(Error::Api(status)) if status.reason == "AlreadyExists" => {}
        Err(e) => panic!("{} {}: {e}", resource.plural, body["metadata"]["name"]),
    }
}
