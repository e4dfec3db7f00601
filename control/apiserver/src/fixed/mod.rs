//! The fixed paths: what the server says about itself. Documents that only depend on the kinds served are made
//! once, at start.

mod discovery;
mod document;
mod gnostic;
mod health;
mod openapi;

use crate::respond::{self, Reply};
use crate::server::{ApiConfig, Core};
use crate::storage::catalog::Catalog;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use discovery::Discovery;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use openapi::OpenApi;
use serde_json::json;
use std::sync::Arc;
use tower::ServiceExt;

/// The version of Kubernetes that is spoken.
const VERSION: &str = keelson_api::version::KUBERNETES;

/// What answers the fixed paths.
pub struct Fixed {
    router: Router,
    paths: Vec<String>,
}

/// The documents that the routes share.
pub(crate) struct Documents {
    version: Bytes,
    discovery: Discovery,
    openapi: OpenApi,
}

type Shared = State<Arc<Documents>>;
type Server = Extension<Arc<Core>>;

impl Fixed {
    pub fn new(catalog: &Catalog, config: &ApiConfig) -> Self {
        let discovery = Discovery::new(catalog, &config.advertise);
        let openapi = OpenApi::new();
        let paths = paths(&discovery, &openapi);
        let documents = Documents { version: version(), discovery, openapi };
        Self { router: router(Arc::new(documents)), paths }
    }

    /// Answers one authorized request.
    pub(crate) async fn answer(&self, core: &Arc<Core>, mut request: Request<Body>) -> Reply {
        request.extensions_mut().insert(Arc::clone(core));
        match self.router.clone().oneshot(request).await {
            Ok(reply) => reply,
            Err(never) => match never {},
        }
    }
}

fn router(documents: Arc<Documents>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/version", get(async |State(d): Shared| json_reply(d.version.clone())))
        .route("/version/", get(async |State(d): Shared| json_reply(d.version.clone())))
        .route("/livez", get(health::livez))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/livez/{*check}", get(health::live_check))
        .route("/healthz/{*check}", get(health::live_check))
        .route("/readyz/{*check}", get(health::ready_check))
        .route("/metrics", get(metrics))
        .route("/api", get(api))
        .route("/api/", get(api))
        .route("/apis", get(apis))
        .route("/apis/", get(apis))
        .route("/api/{version}", get(core_version))
        .route("/apis/{group}", get(group))
        .route("/apis/{group}/", get(group))
        .route("/apis/{group}/{version}", get(group_version))
        .route("/openapi/v2", get(openapi_v2))
        .route("/openapi/v3", get(openapi_v3))
        .route("/openapi/v3/{*path}", get(openapi_v3_document))
        .route("/.well-known/openid-configuration", get(openid_configuration))
        .route("/openid/v1/jwks", get(jwks))
        .fallback(async || respond::no_such_path())
        .method_not_allowed_fallback(async || respond::error_reply(&respond::method_not_allowed()))
        .with_state(documents)
}

fn json_reply(body: Bytes) -> Reply {
    respond::json_bytes(StatusCode::OK, body)
}

/// The answer of `/version`.
fn version() -> Bytes {
    let version = json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35", "gitVersion": VERSION,
        "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
    });
    Bytes::from(version.to_string())
}

/// Every path that is served, for the list at `/`, but for those of single health checks.
fn paths(discovery: &Discovery, openapi: &OpenApi) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/.well-known/openid-configuration",
        "/api",
        "/apis",
        "/apis/",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/",
        "/openid/v1/jwks",
        "/readyz",
        "/version",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend(discovery.paths());
    paths.extend(openapi.paths());
    paths
}

async fn index(Extension(core): Server) -> Reply {
    let mut paths: Vec<_> = core.fixed.paths.iter().cloned().chain(health::paths(&core)).collect();
    paths.sort_unstable();
    paths.dedup();
    json_reply(Bytes::from(json!({ "paths": paths }).to_string()))
}

async fn metrics(Extension(core): Server) -> Reply {
    let text = core.metrics.render(core.store.revision());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    respond::with_type(StatusCode::OK, kind, text)
}

async fn api(State(documents): Shared, headers: HeaderMap) -> Reply {
    documents.discovery.api(&headers)
}

async fn apis(State(documents): Shared, headers: HeaderMap) -> Reply {
    documents.discovery.apis(&headers)
}

async fn core_version(State(documents): Shared, Path(version): Path<String>) -> Reply {
    documents.discovery.resources("", &version)
}

async fn group(State(documents): Shared, Path(group): Path<String>) -> Reply {
    documents.discovery.group(&group)
}

async fn group_version(State(documents): Shared, Path((group, version)): Path<(String, String)>) -> Reply {
    documents.discovery.resources(&group, &version)
}

async fn openapi_v2(State(documents): Shared, headers: HeaderMap) -> Reply {
    documents.openapi.v2(&headers)
}

async fn openapi_v3(State(documents): Shared, headers: HeaderMap) -> Reply {
    documents.openapi.index(&headers)
}

async fn openapi_v3_document(
    State(documents): Shared,
    Path(path): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Reply {
    documents.openapi.document(&path, uri.query().unwrap_or_default(), &headers)
}

async fn openid_configuration(Extension(core): Server) -> Reply {
    let mut reply = json_reply(core.auth.openid_configuration());
    cacheable(&mut reply);
    reply
}

async fn jwks(Extension(core): Server) -> Reply {
    let kind = HeaderValue::from_static("application/jwk-set+json");
    let mut reply = respond::with_type(StatusCode::OK, kind, core.auth.jwks());
    cacheable(&mut reply);
    reply
}

/// Keys of tokens may be kept for an hour.
fn cacheable(reply: &mut Reply) {
    reply.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
}
