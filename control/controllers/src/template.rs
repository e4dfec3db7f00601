//! Pods from a template.

use keelson_client::views::OwnerReference;
use serde_json::{Map, Value, json};

/// The pod that a controller creates from a template; the server makes its name from `prefix`.
pub(crate) fn pod(template: &Value, prefix: &str, owner: &OwnerReference) -> Value {
    let mut metadata = Map::new();
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer("/metadata").and_then(|m| m.get(field)) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert("generateName".to_owned(), json!(format!("{prefix}-")));
    metadata.insert("ownerReferences".to_owned(), json!([owner]));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template.get("spec").cloned().unwrap_or_default(),
    })
}

/// A count for a merge patch of fields that Kubernetes leaves out when they are zero.
pub(crate) fn omit_zero(n: i64) -> Value {
    if n == 0 { Value::Null } else { json!(n) }
}

/// A list for a merge patch of a field that Kubernetes leaves out when it is empty.
pub(crate) fn omit_empty<T: serde::Serialize>(items: &[T]) -> Value {
    if items.is_empty() { Value::Null } else { json!(items) }
}
