//! The Node object as it is registered.

use crate::actions::Context;
use serde_json::{Map, Value, json};

/// Labels and spec; the status follows by itself.
pub(super) fn node(context: &Context) -> Value {
    let config = &context.config;
    let arch = context.machine.architecture;
    let mut labels: Map<String, Value> = config.labels.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    for (name, value) in [
        ("kubernetes.io/hostname", config.node_name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", arch),
    ] {
        labels.insert(name.to_owned(), json!(value));
    }
    let mut spec = Map::new();
    if let Some(provider) = &config.provider_id {
        spec.insert("providerID".into(), json!(provider));
    }
    if !config.taints.is_empty() {
        let taints =
            config.taints.iter().map(|t| json!({"key": t.key, "value": t.value, "effect": t.effect}));
        spec.insert("taints".into(), taints.collect());
    }
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": config.node_name,
            "labels": labels,
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": spec,
    })
}
