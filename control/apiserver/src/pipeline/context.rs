//! What a handler knows of its request.

use crate::admission::{Admission, Operation};
use crate::request::Verb;
use crate::respond::negotiate::{self, Accept};
use crate::server::Core;
use crate::storage;
use crate::storage::catalog::Served;
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, StatusCode};
use keelson_api::identity::UserInfo;
use keelson_api::status::Status;
use serde_json::Value;
use std::sync::Arc;

/// An authorized request for a resource.
pub struct Context<'a> {
    pub(crate) core: &'a Arc<Core>,
    pub served: &'a Arc<Served>,
    pub user: &'a Arc<UserInfo>,
    pub verb: Verb,
    /// Empty for cluster-scoped kinds and for lists over all namespaces.
    pub namespace: &'a str,
    pub name: &'a str,
    pub subresource: &'a str,
    /// As it was sent, not decoded.
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    /// Texts for `Warning` headers, whatever the outcome.
    pub warnings: Vec<String>,
}

/// What a write reports to whoever asked for it.
pub struct Admitted {
    pub code: StatusCode,
    pub body: bytes::Bytes,
}

impl Context<'_> {
    /// The form of the reply that the client wants.
    pub fn accept(&self, list: bool) -> Result<Accept, Status> {
        negotiate::negotiate(self.headers.get(ACCEPT).and_then(|v| v.to_str().ok()), list)
    }

    /// The same for a kind that is answered and not kept, which has no Table.
    pub fn accept_plain(&self) -> Result<Accept, Status> {
        negotiate::negotiate_plain(self.headers.get(ACCEPT).and_then(|v| v.to_str().ok()))
    }

    /// The key of the object that the path names.
    pub fn key(&self) -> String {
        storage::key(self.served.def, self.namespace, self.name)
    }

    pub fn not_found(&self) -> Status {
        Status::not_found(self.served.def.group, self.served.def.plural, self.name)
    }

    /// The refusal of a write that lost against another one.
    pub fn modified(&self) -> Status {
        Status::modified(self.served.def.group, self.served.def.plural, self.name)
    }

    /// The manager of the fields that this request writes: the one given, else the first word of the user agent.
    pub fn manager(&self, given: &str) -> String {
        if !given.is_empty() {
            return given.to_owned();
        }
        let agent = self.headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let word = agent.split('/').next().unwrap_or_default();
        if word.is_empty() { "unknown".to_owned() } else { word.chars().take(128).collect() }
    }

    /// The question that admission answers.
    pub fn admission<'b>(
        &'b self,
        operation: Operation,
        name: &'b str,
        dry_run: bool,
        object: Option<&'b Value>,
        old: Option<&'b Value>,
    ) -> Admission<'b> {
        Admission {
            user: self.user,
            operation,
            def: self.served.def,
            subresource: self.subresource,
            namespace: self.namespace,
            name,
            dry_run,
            object,
            old,
        }
    }
}
