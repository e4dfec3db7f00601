//! The kinds that the API serves. One file per kind; `registry` lists them, and the machinery knows no other
//! way to a kind than its `KindDef`.

mod binding;
mod cluster_role;
mod cluster_role_binding;
mod config_map;
pub mod csr;
mod deployment;
mod endpoint_slice;
mod endpoints;
mod event;
mod event_v1;
mod generation;
mod lease;
pub mod namespace;
mod network_policy;
mod node;
pub mod pod;
mod pod_template;
mod rbac;
mod registry;
mod replica_set;
mod reviews;
mod role;
mod role_binding;
mod row;
pub mod scale;
mod secret;
pub mod service;
mod service_account;

pub use registry::{by_kind, find, registry};

use crate::field::FieldErrors;
use serde_json::Value;

/// The verbs of a resource that is stored and has nothing special about it.
pub(crate) const ALL_VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// The verbs of a `status` or `scale` subresource.
pub(crate) const SUBRESOURCE_VERBS: &[&str] = &["get", "patch", "update"];

/// A field label of field selectors, and its value in an object.
pub type Selectable = (&'static str, fn(&Value) -> String);

/// What a kind is and how the API serves it.
pub struct KindDef {
    /// The API group; empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub namespaced: bool,
    /// Verbs of the resource itself, as discovery lists them.
    pub verbs: &'static [&'static str],
    pub subresources: &'static [Subresource],
    /// The name of its type in the schema table, such as `io.k8s.api.core.v1.Pod`.
    pub schema: &'static str,
    /// The columns of its Table form and how a row is made.
    pub table: TableDef,
    /// Field labels of field selectors besides `metadata.name` and `metadata.namespace`, with their value in
    /// an object.
    pub selectable: &'static [Selectable],
    pub strategy: &'static dyn Strategy,
    /// The warning that every request for this kind is answered with, in whatever verb; empty for none.
    pub deprecation: &'static str,
    /// Set when the objects of this kind are those of another one in another form.
    pub view: Option<View>,
}

/// A kind whose objects are stored as another kind's.
pub struct View {
    /// The kind that is stored.
    pub of: &'static KindDef,
    /// Turns an object of the view into a stored one. Idempotent.
    pub to_stored: fn(&mut Value),
    /// Turns a stored object into one of the view. Idempotent.
    pub from_stored: fn(&mut Value),
}

impl KindDef {
    /// `v1` or `apps/v1`: the `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether objects of this kind are kept; the others (reviews) are only answered.
    pub fn is_stored(&self) -> bool {
        self.verbs.contains(&"get")
    }

    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }
}

/// A subresource as discovery lists it.
pub struct Subresource {
    /// `status`, `scale`, `binding`, `log`, `exec` ...
    pub name: &'static str,
    /// The kind of its body; with group and version when they differ from the parent's.
    pub kind: &'static str,
    pub group_version: Option<(&'static str, &'static str)>,
    pub verbs: &'static [&'static str],
}

/// The `status` subresource of `kind`.
pub(crate) const fn status_of(kind: &'static str) -> Subresource {
    Subresource { name: "status", kind, group_version: None, verbs: SUBRESOURCE_VERBS }
}

/// The `proxy` subresource; `kind` is that of its options.
pub(crate) const fn proxy_of(kind: &'static str) -> Subresource {
    let verbs = &["create", "delete", "get", "patch", "update"];
    Subresource { name: "proxy", kind, group_version: None, verbs }
}

/// The Table form of a kind (`meta.k8s.io/v1` Table).
pub struct TableDef {
    pub columns: &'static [Column],
    /// The cells of one object, as many as there are columns. `now_seconds` is Unix time, for ages.
    pub row: fn(object: &Value, now_seconds: i64) -> Vec<Value>,
}

/// A column of the Table form.
pub struct Column {
    pub name: &'static str,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: &'static str,
    /// `name` for the object's name, else empty.
    pub format: &'static str,
    /// 0 is always shown, 1 with `-o wide`.
    pub priority: i32,
    pub description: &'static str,
}

/// A column that is always shown.
pub(crate) const fn column(name: &'static str) -> Column {
    Column { name, kind: "string", format: "", priority: 0, description: "" }
}

/// A column that is shown with `-o wide`.
pub(crate) const fn wide(name: &'static str) -> Column {
    Column { name, kind: "string", format: "", priority: 1, description: "" }
}

/// The column of the object's name.
pub(crate) const NAME: Column =
    Column { name: "Name", kind: "string", format: "name", priority: 0, description: "" };
/// The column of the time since the object was made.
pub(crate) const AGE: Column = column("Age");

/// The rules of a kind. All are pure; `new` has passed the strict or lenient decoder, so its types are those of
/// the schema table. The order of a create is `default`, mutating admission, `prepare_create`, `validate`,
/// `warnings`; of an update `default`, mutating admission, `prepare_update`, `validate_update`, `warnings`.
/// Validation of an update includes what `validate` holds, and the API server adds the errors of metadata in front.
pub trait Strategy: Sync {
    /// Fills in what a client may leave out (the `SetDefaults_*` of Kubernetes). Must be idempotent.
    fn default(&self, _object: &mut Value) {}

    /// Clears what a client may not set on create, such as status; sets `metadata.generation` to 1 where the
    /// kind has one.
    fn prepare_create(&self, _object: &mut Value) {}

    /// Carries over what an update of the main resource may not change (status), and advances
    /// `metadata.generation` when the spec differs.
    fn prepare_update(&self, _new: &mut Value, _old: &Value) {}

    /// Carries over what an update of `subresource` may not change (for `status`: all but status).
    fn prepare_subresource_update(&self, _subresource: &str, _new: &mut Value, _old: &Value) {}

    /// Rules of a new object beyond those of metadata, in Kubernetes' order.
    fn validate(&self, _object: &Value) -> FieldErrors {
        FieldErrors::new()
    }

    /// Rules of an update of the main resource, beyond those of metadata.
    fn validate_update(&self, _new: &Value, _old: &Value) -> FieldErrors {
        FieldErrors::new()
    }

    /// Rules of an update of `subresource`.
    fn validate_subresource_update(&self, _subresource: &str, _new: &Value, _old: &Value) -> FieldErrors {
        FieldErrors::new()
    }

    /// The rule for `metadata.name`; most kinds take a DNS-1123 subdomain. Returns what is wrong with it.
    /// `prefix` is set when the value is a `generateName`.
    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        crate::names::name_is_subdomain(name, prefix)
    }

    /// Whether an update without a resourceVersion is taken as unconditional.
    fn allows_unconditional_update(&self) -> bool {
        true
    }

    /// Whether a PUT to a name that does not exist creates the object.
    fn allows_create_on_update(&self) -> bool {
        false
    }

    /// The grace period that a delete without `gracePeriodSeconds` gets; `None` deletes at once.
    fn default_grace_period_seconds(&self, _object: &Value) -> Option<i64> {
        None
    }

    /// Warnings of a create or update, each the text of one `Warning: 299` header.
    fn warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod update_tests;
