//! The node's Lease: its sign of life, renewed every 10 seconds for 40.

use crate::actions::Context;
use keelson_api::resource::Resource;
use keelson_client::Error;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(10);
const DURATION_S: u32 = 40;
const NAMESPACE: &str = "kube-node-lease";
const RETRY: Duration = Duration::from_secs(1);

/// Renews for ever.
pub(super) async fn renew(context: Arc<Context>) {
    loop {
        let pause = match once(&context).await {
            Ok(()) => PERIOD,
            Err(error) => {
                tracing::warn!(%error, "the node's lease was not renewed");
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn once(context: &Context) -> Result<(), Error> {
    let name = context.config.node_name.as_str();
    let time = keelson_api::time::micros(context.clock.now().wall * 1000);
    let spec = json!({"holderIdentity": name, "leaseDurationSeconds": DURATION_S, "renewTime": time});
    let patch = json!({"spec": spec});
    let renewed = context.client.merge_patch::<Value>(&Resource::LEASES, NAMESPACE, name, &patch).await;
    match renewed {
        Err(error) if error.is_not_found() => create(context, spec).await,
        other => other.map(|_| ()),
    }
}

/// A lease belongs to its node: it goes when the Node does.
async fn create(context: &Context, spec: Value) -> Result<(), Error> {
    let name = context.config.node_name.as_str();
    let mut metadata = json!({"name": name, "namespace": NAMESPACE});
    if let Ok(node) = context.client.get::<Value>(&Resource::NODES, "", name).await {
        let uid = node.pointer("/metadata/uid").cloned().unwrap_or_default();
        metadata["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]);
    }
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec,
    });
    context.client.create::<Value>(&Resource::LEASES, NAMESPACE, &lease).await.map(|_| ())
}
