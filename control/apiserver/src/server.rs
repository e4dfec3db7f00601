//! The server itself: what requests share, and how they enter.

use crate::auth::{Auth, PeerIdentity};
use crate::fixed::Fixed;
use crate::kubelet::KubeletClient;
use crate::metrics::Metrics;
use crate::pipeline;
use crate::serve::tls::ServerCertificate;
use crate::services::{Allocations, repair};
use crate::storage::catalog::Catalog;
use crate::storage::expiry;
use crate::storage::horizon::{self, Horizon};
use crate::storage::turns::Turns;
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use keelson_api::status::Status;
use keelson_store::Store;
use parking_lot::RwLock;
use rustls::pki_types::CertificateDer;
use std::convert::Infallible;
use std::future::Future;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What an operator decides.
#[derive(Clone)]
pub struct ApiConfig {
    /// The network of ClusterIPs and its prefix length.
    pub service_network: (Ipv4Addr, u8),
    pub node_ports: RangeInclusive<u16>,
    /// `host:port` under which clients reach the server, shown by `/api`.
    pub advertise: String,
    /// How long a request may take; watches, logs and execs may take longer.
    pub request_timeout: Duration,
    /// How long an Event is kept after its last write.
    pub event_ttl: Duration,
    /// How long the continue token of a chunked list is good after the state that it names was overtaken.
    pub continue_ttl: Duration,
    /// How kubelets are reached for logs and exec; without it both answer 503.
    pub kubelet: Option<Arc<KubeletClient>>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            service_network: (Ipv4Addr::new(10, 96, 0, 0), 12),
            node_ports: 30000..=32767,
            advertise: String::new(),
            request_timeout: Duration::from_secs(60),
            event_ttl: Duration::from_secs(60 * 60),
            continue_ttl: Duration::from_secs(5 * 60),
            kubelet: None,
        }
    }
}

/// What every request may use.
pub(crate) struct Core {
    pub config: ApiConfig,
    pub store: Store,
    pub auth: Arc<Auth>,
    pub catalog: Catalog,
    pub metrics: Arc<Metrics>,
    pub services: Allocations,
    pub turns: Turns,
    /// How old a list's continue token may be.
    pub horizon: Horizon,
    pub fixed: Fixed,
    /// Cancelled when shutdown begins: watches end, no connection is taken.
    pub shutdown: CancellationToken,
    /// Set just before that, for those who look often.
    pub stopping: AtomicBool,
    /// Set by the assembly once bootstrap objects exist; `/readyz` says so.
    pub ready: AtomicBool,
    /// What else must hold before the server is ready.
    pub conditions: RwLock<Vec<(&'static str, Condition)>>,
}

/// Whether something holds; if not, why.
type Condition = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The API server; a clone is another handle to the same one.
#[derive(Clone)]
pub struct ApiServer {
    core: Arc<Core>,
}

impl ApiServer {
    /// A server on an open store. Service addresses in use are read off the store.
    pub fn new(config: ApiConfig, store: Store, auth: Arc<Auth>) -> ApiServer {
        let catalog = Catalog::new();
        let services = Allocations::new(config.service_network, config.node_ports.clone());
        services.load(&store);
        let fixed = Fixed::new(&catalog, &config);
        let horizon = Horizon::new(config.continue_ttl);
        let core = Core {
            config,
            store,
            auth,
            catalog,
            metrics: Arc::default(),
            services,
            turns: Turns::new(),
            horizon,
            fixed,
            shutdown: CancellationToken::new(),
            stopping: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            conditions: RwLock::default(),
        };
        ApiServer { core: Arc::new(core) }
    }

    /// The service for in-process callers, who put `Extension<Arc<UserInfo>>` on their requests.
    pub fn router(&self) -> Router {
        Router::new().fallback_service(CoreService { core: Arc::clone(&self.core) })
    }

    /// Serves TLS until shutdown begins; returns when all connections have ended.
    pub async fn serve_tls(&self, listener: TcpListener, certificate: Arc<ServerCertificate>) {
        crate::serve::serve(self, listener, certificate).await;
    }

    /// Compares allocated addresses and ports with the services, from time to time, until shutdown begins.
    pub async fn run_repair(&self) {
        repair::run(Arc::clone(&self.core)).await;
    }

    /// Removes Events that are older than they may be, until shutdown begins.
    pub async fn run_expiry(&self) {
        expiry::run(Arc::clone(&self.core)).await;
    }

    /// Lets continue tokens grow old, until shutdown begins.
    pub async fn run_horizon(&self) {
        horizon::run(Arc::clone(&self.core)).await;
    }

    /// Adds a check to `/readyz`, which then says no while `condition` fails.
    pub fn ready_when(
        &self,
        name: &'static str,
        condition: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.core.conditions.write().push((name, Box::new(condition)));
    }

    /// Lets `/readyz` say yes, as soon as all else holds.
    pub fn set_ready(&self) {
        self.core.ready.store(true, Ordering::Release);
    }

    /// Ends watches and stops accepting; `serve_tls` then returns.
    pub fn shutdown(&self) {
        self.core.stopping.store(true, Ordering::Release);
        self.core.shutdown.cancel();
    }

    pub(crate) fn shutdown_token(&self) -> CancellationToken {
        self.core.shutdown.clone()
    }

    pub(crate) fn tls_service(&self) -> TlsService {
        TlsService { core: Arc::clone(&self.core) }
    }

    #[cfg(test)]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// The pipeline as a tower service.
#[derive(Clone)]
struct CoreService {
    core: Arc<Core>,
}

impl tower::Service<Request<Body>> for CoreService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let core = Arc::clone(&self.core);
        Box::pin(async move { Ok(pipeline::handle(&core, request).await) })
    }
}

/// What the TLS listener needs of the server.
#[derive(Clone)]
pub(crate) struct TlsService {
    core: Arc<Core>,
}

impl TlsService {
    /// Whether shutdown has begun.
    pub fn is_stopping(&self) -> bool {
        self.core.stopping.load(Ordering::Acquire)
    }

    pub fn handshake_failed(&self) {
        self.core.metrics.tls_failures.fetch_add(1, Ordering::Relaxed);
    }
}

/// The service of one connection: every request on it has the same peer.
#[derive(Clone)]
pub(crate) struct ConnectionService {
    core: Arc<Core>,
    peer: Option<Arc<PeerIdentity>>,
}

impl ConnectionService {
    pub fn new(service: TlsService, certificates: Option<&[CertificateDer<'static>]>) -> Self {
        let peer = certificates.and_then(|chain| service.core.auth.peer(chain));
        Self { core: service.core, peer }
    }
}

impl hyper::service::Service<Request<hyper::body::Incoming>> for ConnectionService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<hyper::body::Incoming>) -> Answer {
        let core = Arc::clone(&self.core);
        let mut request = request.map(Body::new);
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(Arc::clone(peer));
        }
        Box::pin(async move { Ok(pipeline::handle(&core, request).await) })
    }
}

impl Core {
    /// Whether the server can go on. The names are those of Kubernetes' checks: the store stands where etcd stands
    /// there.
    pub fn live_checks(&self) -> Vec<(&'static str, Result<(), String>)> {
        let bootstrap =
            if self.ready.load(Ordering::Acquire) { Ok(()) } else { Err("not finished".to_owned()) };
        vec![
            ("ping", Ok(())),
            ("log", Ok(())),
            ("etcd", self.store.health()),
            ("poststarthook/rbac/bootstrap-roles", bootstrap),
        ]
    }

    /// Whether the server can do its work.
    pub fn ready_checks(&self) -> Vec<(&'static str, Result<(), String>)> {
        let mut checks = self.live_checks();
        let bootstrap = checks.pop();
        checks.push(("etcd-readiness", self.store.health()));
        let synced = self.auth.is_following();
        let views = synced.then_some(()).ok_or_else(|| "roles and pods are not followed yet".to_owned());
        checks.push(("informer-sync", views));
        checks.extend(self.conditions.read().iter().map(|(name, condition)| (*name, condition())));
        checks.extend(bootstrap);
        let stopping = self.shutdown.is_cancelled();
        let shutdown = if stopping { Err("process is shutting down".to_owned()) } else { Ok(()) };
        checks.push(("shutdown", shutdown));
        checks
    }

    /// The stored object, parsed, or the 404 that names it.
    pub fn get_core(&self, plural: &'static str, key: &str) -> Result<Option<serde_json::Value>, Status> {
        self.store.get(plural, key).map(|stored| crate::storage::form::parse(&stored)).transpose()
    }
}
