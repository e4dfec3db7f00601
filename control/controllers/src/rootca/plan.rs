//! What the ConfigMap with the cluster's CA should hold.

use crate::shared::ROOT_CA_NAME;
use keelson_client::views::{ConfigMap, Namespace};
use serde_json::{Value, json};

#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    Nothing,
    Create(Value),
    /// The whole object: it has no fields of anyone else.
    Replace(Value),
}

pub(super) fn plan(namespace: &Namespace, existing: Option<&ConfigMap>, ca_pem: &str) -> Plan {
    if namespace.status.phase == "Terminating" || namespace.metadata.is_deleting() {
        return Plan::Nothing;
    }
    let mut body = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": ROOT_CA_NAME, "namespace": namespace.metadata.name},
        "data": {"ca.crt": ca_pem},
    });
    match existing {
        None => Plan::Create(body),
        Some(map) if map.data.len() == 1 && map.data.get("ca.crt").is_some_and(|ca| ca == ca_pem) => {
            Plan::Nothing
        }
        Some(map) => {
            body["metadata"]["resourceVersion"] = json!(map.metadata.resource_version);
            body["metadata"]["labels"] = json!(map.metadata.labels);
            body["metadata"]["annotations"] = json!(map.metadata.annotations);
            Plan::Replace(body)
        }
    }
}
