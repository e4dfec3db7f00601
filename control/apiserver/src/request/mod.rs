//! What a request asks for, read off its method, path and query: one parser for every resource, so that the
//! router needs no entry per kind. Never looks at bodies or objects.

pub mod options;
pub mod query;
pub mod selection;

use http::Method;
use std::borrow::Cow;

/// What a request does, in the words of authorization and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
    /// A method without a verb, such as OPTIONS, on its way to a backend.
    Other,
}

impl Verb {
    /// The verb as RBAC rules write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
            Verb::Other => "",
        }
    }

    /// The verb as the request metrics label it.
    pub fn metric(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::List => "LIST",
            Verb::Watch => "WATCH",
            Verb::Create => "POST",
            Verb::Update => "PUT",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
            Verb::DeleteCollection => "DELETECOLLECTION",
            Verb::Other => "OTHER",
        }
    }
}

/// The parts of a path below `/api/V` or `/apis/G/V`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourcePath<'a> {
    /// Empty for the core group.
    pub group: &'a str,
    pub version: &'a str,
    /// Empty for cluster-scoped requests and for lists over all namespaces.
    pub namespace: &'a str,
    pub resource: &'a str,
    /// Empty for requests on the collection.
    pub name: &'a str,
    pub subresource: &'a str,
    /// The legacy `/watch/` prefix stood in the path.
    pub watch_prefix: bool,
    /// More parts follow the subresource.
    pub trailing: bool,
}

/// Decodes percent escapes of a path; an escape that is not UTF-8 leaves the path as it is.
pub fn decode_path(path: &str) -> Cow<'_, str> {
    keelson_api::percent::decode(path, false)
}

/// The resource that a decoded path names; `None` for paths that are no resource (`/version`, `/apis/apps/v1`).
pub fn parse_path(path: &str) -> Option<ResourcePath<'_>> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let group = match parts.next()? {
        "api" => "",
        "apis" => parts.next()?,
        _ => return None,
    };
    let mut out = ResourcePath { group, version: parts.next()?, ..ResourcePath::default() };
    let mut current = parts.next()?;
    if current == "watch" {
        out.watch_prefix = true;
        current = parts.next()?;
    }
    if current == "namespaces" {
        return Some(namespaced(out, parts));
    }
    out.resource = current;
    finish(&mut out, parts);
    Some(out)
}

/// `namespaces`, `namespaces/N`, `namespaces/N/status` or `namespaces/N/RESOURCE/...`.
fn namespaced<'a>(mut out: ResourcePath<'a>, mut parts: impl Iterator<Item = &'a str>) -> ResourcePath<'a> {
    out.resource = "namespaces";
    let Some(namespace) = parts.next() else { return out };
    match parts.next() {
        None => (out.namespace, out.name) = (namespace, namespace),
        Some(sub @ ("status" | "finalize")) if out.group.is_empty() => {
            (out.namespace, out.name, out.subresource) = (namespace, namespace, sub);
            out.trailing = parts.next().is_some();
        }
        Some(resource) => {
            (out.namespace, out.resource) = (namespace, resource);
            finish(&mut out, parts);
        }
    }
    out
}

fn finish<'a>(out: &mut ResourcePath<'a>, mut parts: impl Iterator<Item = &'a str>) {
    out.name = parts.next().unwrap_or_default();
    out.subresource = parts.next().unwrap_or_default();
    out.trailing = parts.next().is_some();
}

/// The verb of a resource request; `None` when no verb has this method.
pub fn verb(method: &Method, path: &ResourcePath<'_>, query: &str) -> Option<Verb> {
    let collection = path.name.is_empty();
    Some(match *method {
        Method::GET | Method::HEAD if path.watch_prefix => Verb::Watch,
        Method::GET | Method::HEAD if collection && asks_watch(query) => Verb::Watch,
        Method::GET | Method::HEAD if collection => Verb::List,
        Method::GET | Method::HEAD => Verb::Get,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE if collection => Verb::DeleteCollection,
        Method::DELETE => Verb::Delete,
        _ if path.subresource == "proxy" => Verb::Other,
        _ => return None,
    })
}

fn asks_watch(query: &str) -> bool {
    query.contains("watch") && query::first(query, "watch").is_some_and(|value| query::truthy(&value))
}

#[cfg(test)]
mod tests;
