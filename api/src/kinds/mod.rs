//! The kinds that the API serves. One file per kind; `registry` lists them, and the machinery knows no other
//! way to a kind than its `KindDef`.

use crate::field::FieldErrors;
use serde_json::Value;

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
    pub selectable: &'static [(&'static str, fn(&Value) -> String)],
    pub strategy: &'static dyn Strategy,
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

/// The rules of a kind. All are pure; `new` has passed the strict or lenient decoder, so its types are those of
/// the schema table.
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
    fn validate_name(&self, _name: &str, _prefix: bool) -> Vec<String> {
        Vec::new()
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
