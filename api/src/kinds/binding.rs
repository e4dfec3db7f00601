//! Binding: a scheduler's decision, sent to `bindings` with the pod's name in it. Never stored: the pod is.

use super::{KindDef, NAME, Strategy, TableDef, pod};
use crate::field::FieldErrors;
use crate::meta;
use serde_json::{Value, json};

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "Binding",
    plural: "bindings",
    singular: "binding",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: &["create"],
    subresources: &[],
    schema: "io.k8s.api.core.v1.Binding",
    table: TableDef { columns: &[NAME], row: |object, _| vec![json!(meta::name(object))] },
    selectable: &[],
    strategy: &Binding,
    deprecation: "",
    view: None,
};

struct Binding;

impl Strategy for Binding {
    fn validate(&self, object: &Value) -> FieldErrors {
        pod::validate_binding(object)
    }
}
