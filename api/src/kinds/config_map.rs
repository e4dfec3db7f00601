//! ConfigMap: keys and values for pods.

use super::{AGE, ALL_VERBS, KindDef, NAME, Strategy, TableDef, column, row};
use crate::field::{FieldErrors, Path};
use crate::validation::data;
use crate::validation::value::size;
use serde_json::Value;

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.core.v1.ConfigMap",
    table: TableDef { columns: &[NAME, column("Data"), AGE], row: cells },
    selectable: &[],
    strategy: &ConfigMap,
    deprecation: "",
    view: None,
};

struct ConfigMap;

impl Strategy for ConfigMap {
    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let path = Path::new("data");
        data::keys(object, "data", &path, &mut errors, |key, path, errors| {
            if object["binaryData"].get(key).is_some() {
                errors.push(data::duplicate_key(path, key, "binaryData"));
            }
        });
        data::keys(object, "binaryData", &Path::new("binaryData"), &mut errors, |_, _, _| {});
        let total = data::total_size(object, "data", false) + data::total_size(object, "binaryData", true);
        // The whole object is too long, and Kubernetes names its path so.
        data::within_limit(total, &Path::new("[]"), &mut errors);
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = data::immutable_fields(new, old, &["data", "binaryData"]);
        errors.extend(self.validate(new));
        errors
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    vec![
        row::name(object),
        Value::from(size(object, "data") + size(object, "binaryData")),
        row::age(object, now),
    ]
}
