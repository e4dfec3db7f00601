//! From a parsed request to its handler: is it served, may the user, which verb.

use super::context::Context;
use super::{Incoming, body};
use crate::admission::{self, Operation};
use crate::kubelet;
use crate::proxy;
use crate::request::{ResourcePath, Verb};
use crate::respond::{self, Reply};
use crate::server::Core;
use crate::storage::catalog::Served;
use crate::storage::form;
use crate::verbs;
use crate::websocket::{Asked, messages};
use bytes::Bytes;
use http::{Request, StatusCode};
use keelson_api::decode::Target;
use keelson_api::identity::UserInfo;
use keelson_api::status::Status;
use std::sync::Arc;

const TOKEN_REQUEST: Target<'static> = Target {
    group: "authentication.k8s.io",
    version: "v1",
    kind: "TokenRequest",
    schema: "io.k8s.api.authentication.v1.TokenRequest",
};

/// Authorizes and answers a request for a resource.
pub async fn resource(
    core: &Arc<Core>,
    served: Option<&Arc<Served>>,
    incoming: Incoming,
    path: &ResourcePath<'_>,
) -> Result<Reply, Status> {
    let Incoming { user, mut parts, body, verb, .. } = incoming;
    let streams = kubelet::STREAMS.contains(&path.subresource);
    authorize(core, &user, verb, path, parts.uri.query().unwrap_or_default())?;
    let served = served.ok_or_else(respond::no_such_resource)?;
    check_served(served, path, verb)?;
    if streams || path.subresource == "log" {
        let target = kubelet::Target { core, namespace: path.namespace, name: path.name };
        let request = Request::from_parts(parts, body);
        return kubelet::answer(target, path.subresource, request).await;
    }
    if path.subresource == "proxy" {
        let connect = Connect { core, plural: served.def.plural, namespace: path.namespace, name: path.name };
        return proxy::answer(connect, Request::from_parts(parts, body)).await;
    }
    let socket = if verb == Verb::Watch { Asked::take(&mut parts)? } else { None };
    let query = parts.uri.query().unwrap_or_default();
    let body = match verb {
        Verb::Get | Verb::List | Verb::Watch => Bytes::new(),
        _ => body::read(&parts.headers, body).await?,
    };
    let mut ctx = Context {
        core,
        served,
        user: &user,
        verb,
        namespace: if served.def.namespaced { path.namespace } else { "" },
        name: path.name,
        subresource: path.subresource,
        query,
        headers: &parts.headers,
        warnings: Vec::new(),
    };
    let reply = run(&mut ctx, body).await;
    let warnings = std::mem::take(&mut ctx.warnings);
    let mut reply = reply.unwrap_or_else(|status| respond::error_reply(&status));
    if let Some(socket) = socket {
        reply = messages::lines(socket, reply, core);
    }
    if !warnings.is_empty() {
        respond::add_warnings(reply.headers_mut(), &warnings);
    }
    Ok(reply)
}

/// May the user do this? A shell in a container is a creation, however it is asked for: WebSockets are asked for by
/// GET, which needs `get` besides, as in Kubernetes since v1.35.
fn authorize(
    core: &Core,
    user: &UserInfo,
    verb: Verb,
    path: &ResourcePath<'_>,
    query: &str,
) -> Result<(), Status> {
    super::authorize::resource(core, user, verb, path, query)?;
    if kubelet::STREAMS.contains(&path.subresource) && verb != Verb::Create {
        super::authorize::resource(core, user, Verb::Create, path, query)?;
    }
    Ok(())
}

/// What a request that is handed on is about.
pub(crate) struct Connect<'a> {
    pub core: &'a Arc<Core>,
    pub plural: &'static str,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// Whether the path exists, and has this verb.
fn check_served(served: &Served, path: &ResourcePath<'_>, verb: Verb) -> Result<(), Status> {
    let def = served.def;
    let scoped = def.namespaced && !path.namespace.is_empty();
    let proxies = path.subresource == "proxy";
    if (path.trailing && !proxies)
        || (!def.namespaced && !path.namespace.is_empty() && def.plural != "namespaces")
    {
        return Err(respond::no_such_resource());
    }
    if !path.subresource.is_empty() {
        let subresource = def.subresource(path.subresource).ok_or_else(respond::no_such_resource)?;
        // A method that is no verb is the backend's matter.
        let allowed = (proxies && verb == Verb::Other) || subresource.verbs.contains(&verb.as_str());
        return if allowed { Ok(()) } else { Err(respond::method_not_allowed()) };
    }
    let on_collection = path.name.is_empty();
    let fits = match verb {
        Verb::Create => on_collection && (scoped || !def.namespaced || !def.is_stored()),
        Verb::List | Verb::Watch => true,
        Verb::DeleteCollection => on_collection && (scoped || !def.namespaced),
        Verb::Get | Verb::Update | Verb::Patch | Verb::Delete => {
            if def.namespaced && !scoped {
                return Err(respond::no_such_resource());
            }
            !on_collection
        }
        Verb::Other => false,
    };
    if fits && def.verbs.contains(&verb.as_str()) { Ok(()) } else { Err(respond::method_not_allowed()) }
}

async fn run(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    if matches!(ctx.subresource, "binding" | "eviction" | "token") {
        ctx.accept_plain()?;
    }
    match (ctx.subresource, ctx.verb) {
        ("scale", _) => return verbs::scale::scale(ctx, body).await,
        ("binding", _) => return verbs::binding::bind(ctx, body).await,
        ("eviction", _) => return verbs::evict::evict(ctx, body).await,
        ("", Verb::Create) if ctx.served.def.plural == "bindings" => {
            return verbs::binding::bind(ctx, body).await;
        }
        ("token", _) => return token(ctx, &body).await,
        _ => {}
    }
    if !ctx.served.def.is_stored() {
        return unstored(ctx, body).await;
    }
    match ctx.verb {
        Verb::Get => verbs::get::get(ctx),
        Verb::List => verbs::list::list(ctx),
        Verb::Watch => verbs::watch::watch(ctx),
        Verb::Create => verbs::create::create(ctx, body).await,
        Verb::Update => verbs::update::update(ctx, body).await,
        Verb::Patch => verbs::patch::patch(ctx, body).await,
        Verb::Delete => verbs::delete::delete(ctx, body).await,
        Verb::DeleteCollection => verbs::delete_collection::delete_collection(ctx, body).await,
        Verb::Other => Err(respond::method_not_allowed()),
    }
}

/// Kinds that are answered and not kept: reviews.
async fn unstored(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    let def = ctx.served.def;
    let accept = ctx.accept_plain()?;
    let options = crate::request::options::WriteOptions::parse(ctx.query, "CreateOptions")?;
    let mut object = verbs::write::decode_own(ctx, &body, options.validation)?;
    verbs::write::match_namespace(ctx, &mut object)?;
    def.strategy.default(&mut object);
    let errors = def.strategy.validate(&object);
    if !errors.is_empty() {
        // Kubernetes has lost the kind of access reviews by then.
        let kind = if def.group == "authorization.k8s.io" { "" } else { def.kind };
        return Err(Status::invalid(def.group, kind, "", &errors));
    }
    let mut answer = ctx.core.auth.review(def, ctx.user, ctx.namespace, object).await?;
    keelson_api::schema::complete(def.schema, &mut answer);
    let body = form::ordered(def.kind, &ctx.served.api_version, &answer);
    verbs::get::present(ctx, StatusCode::CREATED, body, accept)
}

/// `serviceaccounts/NAME/token`.
async fn token(ctx: &mut Context<'_>, body: &[u8]) -> Result<Reply, Status> {
    let options = crate::request::options::WriteOptions::parse(ctx.query, "CreateOptions")?;
    let request = verbs::write::decode_body(ctx, body, options.validation, &TOKEN_REQUEST)?;
    let asked = ctx.admission(Operation::Create, ctx.name, options.dry_run, Some(&request), None);
    admission::validate(ctx.core, &asked)?;
    let mut answer = ctx.core.auth.create_token(ctx.namespace, ctx.name, request, options.dry_run).await?;
    keelson_api::schema::complete(TOKEN_REQUEST.schema, &mut answer);
    let body = form::ordered(TOKEN_REQUEST.kind, "authentication.k8s.io/v1", &answer);
    Ok(respond::json_bytes(StatusCode::CREATED, body))
}
