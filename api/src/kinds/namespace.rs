//! Namespace: what other objects live in. It goes when all of them and its finalizers have gone.

use super::{AGE, KindDef, NAME, Strategy, Subresource, TableDef, column, row, status_of};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::validation::check;
use crate::validation::value::{at, carry_over, has, list, object_mut, set, text, texts};
use serde_json::{Value, json};

/// The finalizer of the namespace controller.
pub const FINALIZER: &str = "kubernetes";
/// The finalizers that have no domain.
const STANDARD_FINALIZERS: [&str; 3] = [FINALIZER, "orphan", "foregroundDeletion"];
/// The label that tells a namespace's name to selectors.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    namespaced: false,
    verbs: &["create", "delete", "get", "list", "patch", "update", "watch"],
    subresources: &[
        Subresource { name: "finalize", kind: "Namespace", group_version: None, verbs: &["update"] },
        status_of("Namespace"),
    ],
    schema: "io.k8s.api.core.v1.Namespace",
    table: TableDef { columns: &[NAME, column("Status"), AGE], row: cells },
    selectable: &[
        ("name", |object| text(&object["metadata"], "name").to_owned()),
        ("status.phase", |object| text(&object["status"], "phase").to_owned()),
    ],
    strategy: &Namespace,
    deprecation: "",
    view: None,
};

struct Namespace;

impl Strategy for Namespace {
    fn default(&self, object: &mut Value) {
        name_label(object);
        if let Some(status) = object_mut(object, "status")
            && text(status, "phase").is_empty()
        {
            set(status, "phase", "Active");
        }
        object_mut(object, "spec");
    }

    fn prepare_create(&self, object: &mut Value) {
        // Once more for a generated name, which defaulting did not know.
        name_label(object);
        set(object, "status", json!({"phase": "Active"}));
        if let Some(spec) = object_mut(object, "spec")
            && !texts(spec, "finalizers").contains(&FINALIZER)
        {
            let mut finalizers = list(spec, "finalizers").to_vec();
            finalizers.push(FINALIZER.into());
            set(spec, "finalizers", finalizers);
        }
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        if let Some(spec) = object_mut(new, "spec") {
            carry_over(spec, at(old, "spec"), "finalizers");
        }
        carry_over(new, old, "status");
    }

    fn prepare_subresource_update(&self, subresource: &str, new: &mut Value, old: &Value) {
        carry_over(new, old, if subresource == "status" { "spec" } else { "status" });
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        finalizers(object, false, &mut errors);
        errors
    }

    fn validate_subresource_update(&self, subresource: &str, new: &Value, _old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        if subresource == "finalize" {
            finalizers(new, true, &mut errors);
            return errors;
        }
        let phase = text(&new["status"], "phase");
        let (want, why) = if has(&new["metadata"], "deletionTimestamp") {
            ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
        } else {
            ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
        };
        if phase != want {
            errors.push(FieldError::invalid(&Path::new("status").child("Phase"), phase, why));
        }
        errors
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::name_is_label(name, prefix)
    }
}

/// The label of a namespace's name is the server's to set.
fn name_label(object: &mut Value) {
    let name = text(&object["metadata"], "name").to_owned();
    if !name.is_empty()
        && let Some(metadata) = object_mut(object, "metadata")
        && let Some(labels) = object_mut(metadata, "labels")
    {
        set(labels, NAME_LABEL, name);
    }
}

/// `spec.finalizers` are qualified names or the one that has no domain.
fn finalizers(object: &Value, by_index: bool, errors: &mut FieldErrors) {
    for (index, name) in texts(&object["spec"], "finalizers").into_iter().enumerate() {
        let path = Path::new("spec").child("finalizers");
        let path = if by_index { path.index(index) } else { path };
        check::each(names::qualified_name(name), name, &path, errors);
        if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid(&path, name, why));
        }
    }
}

/// Marks a namespace whose deletion has begun. The API server sets the deletion timestamp.
pub fn mark_terminating(object: &mut Value) {
    if let Some(status) = object_mut(object, "status") {
        set(status, "phase", "Terminating");
    }
}

/// Whether a namespace under deletion has nothing left that holds it.
pub fn is_finalized(object: &Value) -> bool {
    has(&object["metadata"], "deletionTimestamp")
        && list(&object["spec"], "finalizers").is_empty()
        && list(&object["metadata"], "finalizers").is_empty()
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    vec![row::name(object), Value::from(text(&object["status"], "phase")), row::age(object, now)]
}
