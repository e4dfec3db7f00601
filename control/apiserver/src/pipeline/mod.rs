//! The way of every request: who asks, may they, what do they ask for, who answers. Each stage is a file.

mod authorize;
mod body;
mod context;
mod dispatch;

pub use body::{MAX_BODY, content_type};
pub use context::{Admitted, Context};
pub(crate) use dispatch::Connect;

use crate::auth::PeerIdentity;
use crate::kubelet::STREAMS;
use crate::metrics::{self, Key};
use crate::request::{self, ResourcePath, Verb};
use crate::respond::{self, Reply, pretty};
use crate::server::Core;
use crate::websocket;
use axum::body::Body;
use http::request::Parts;
use http::{Method, Request};
use keelson_api::identity::UserInfo;
use keelson_api::status::Status;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers one request; every outcome is a reply.
pub async fn handle(core: &Arc<Core>, request: Request<Body>) -> Reply {
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    let uri = parts.uri.clone();
    let path = request::decode_path(uri.path());
    if let Err(status) = websocket::take_token(&mut parts.headers) {
        return respond::error_reply(&status);
    }
    let user = match identify(core, &parts) {
        Ok(user) => user,
        Err(status) => return respond::error_reply(&status),
    };
    let Some(resource) = request::parse_path(&path) else {
        return fixed(core, &user, parts, body, &path, started).await;
    };
    let Some(verb) = request::verb(&parts.method, &resource, uri.query().unwrap_or_default()) else {
        return respond::error_reply(&respond::method_not_allowed());
    };
    run_resource(core, Incoming { user, parts, body, verb, started }, &resource).await
}

/// A request for a resource, on its way through the stages.
pub(crate) struct Incoming {
    pub user: Arc<UserInfo>,
    pub parts: Parts,
    pub body: Body,
    pub verb: Verb,
    pub started: Instant,
}

async fn run_resource(core: &Arc<Core>, mut incoming: Incoming, resource: &ResourcePath<'_>) -> Reply {
    let (verb, started) = (incoming.verb, incoming.started);
    let served = core.catalog.find(resource.group, resource.version, resource.resource);
    let def = served.map(|s| s.def);
    let subresource = def.and_then(|d| d.subresource(resource.subresource)).map_or("", |s| s.name);
    let long =
        verb == Verb::Watch || matches!(subresource, "log" | "proxy") || STREAMS.contains(&subresource);
    let mutating = !matches!(verb, Verb::Get | Verb::List | Verb::Watch | Verb::Other);
    let running = (!long).then(|| core.metrics.start(mutating));
    // Streams pass as they are.
    let pretty = !long && pretty::ask(&mut incoming.parts);
    let answer = dispatch::resource(core, served, incoming, resource);
    let reply = if long {
        answer.await
    } else {
        match tokio::time::timeout(core.config.request_timeout, answer).await {
            Ok(reply) => reply,
            Err(_) => Err(timed_out()),
        }
    };
    let mut reply = pretty::reply(reply.unwrap_or_else(|status| respond::error_reply(&status)), pretty);
    if let Some(def) = def
        && !def.deprecation.is_empty()
    {
        respond::add_warnings(reply.headers_mut(), &[def.deprecation.to_owned()]);
    }
    drop(running);
    let key = Key {
        verb: verb.metric(),
        group: def.map_or("", |d| d.group),
        version: def.map_or("", |d| d.version),
        resource: def.map_or("", |d| d.plural),
        subresource,
        code: reply.status().as_u16(),
    };
    core.metrics.done(key, if long { Duration::ZERO } else { started.elapsed() });
    reply
}

async fn fixed(
    core: &Arc<Core>,
    user: &Arc<UserInfo>,
    mut parts: Parts,
    body: Body,
    path: &str,
    started: Instant,
) -> Reply {
    let verb = metrics::method_verb(&parts.method);
    // Nobody reads those documents.
    let pretty = !path.starts_with("/openapi/") && pretty::ask(&mut parts);
    let reply = match authorize::path(core, user, &method_in_lower_case(&parts.method), path) {
        Ok(()) => core.fixed.answer(core, Request::from_parts(parts, body)).await,
        Err(status) => respond::error_reply(&status),
    };
    let reply = pretty::reply(reply, pretty);
    let code = reply.status().as_u16();
    let key = Key { verb, group: "", version: "", resource: "", subresource: "", code };
    core.metrics.done(key, started.elapsed());
    reply
}

fn method_in_lower_case(method: &Method) -> Cow<'static, str> {
    match *method {
        Method::GET => Cow::Borrowed("get"),
        Method::HEAD => Cow::Borrowed("head"),
        Method::POST => Cow::Borrowed("post"),
        _ => Cow::Owned(method.as_str().to_ascii_lowercase()),
    }
}

/// Who asks: the identity that an in-process caller carries, else what the credentials say; then the one it
/// impersonates, if any.
fn identify(core: &Core, parts: &Parts) -> Result<Arc<UserInfo>, Status> {
    let user = if let Some(user) = parts.extensions.get::<Arc<UserInfo>>() {
        Arc::clone(user)
    } else if let Some(user) = parts.extensions.get::<UserInfo>() {
        Arc::new(user.clone())
    } else {
        core.auth.authenticate(parts, parts.extensions.get::<Arc<PeerIdentity>>())?
    };
    Ok(core.auth.impersonate(parts, &user)?.unwrap_or(user))
}

fn timed_out() -> Status {
    Status::new(504, "Timeout", "Timeout: request did not complete within the allotted timeout")
}
