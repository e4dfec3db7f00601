//! Which namespaces lack their default ServiceAccount.

use keelson_client::views::{Namespace, ServiceAccount};
use serde_json::{Value, json};

/// The account that pods without another one run as.
pub(super) const NAME: &str = "default";

/// The account to create in a namespace; none where it exists or nothing may be created any more.
pub(super) fn plan(namespace: &Namespace, existing: Option<&ServiceAccount>) -> Option<Value> {
    if namespace.status.phase == "Terminating" || namespace.metadata.is_deleting() || existing.is_some() {
        return None;
    }
    Some(json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": namespace.metadata.name},
    }))
}
