//! Performs the plan for one node.

use super::plan::{Clocks, Graces, Heard, Plan, listen, plan};
use crate::context::now;
use crate::shared::{BY_NODE, NODE_LEASES, Shared};
use crate::worker::Next;
use crate::written::Written;
use keelson_client::recorder::{EventType, ObjectRef, Recorder};
use keelson_client::views::{Node, Partial, Pod};
use keelson_client::{Client, Error, Key, PatchKind, Resource};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct Lifecycle {
    pub(super) client: Client,
    pub(super) recorder: Recorder,
    pub(super) shared: Arc<Shared>,
    pub(super) graces: Graces,
    pub(super) heard: Mutex<HashMap<String, Heard>>,
    pub(super) start: Instant,
    pub(super) written: Written<Key>,
}

impl Lifecycle {
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        self.written.settle(&key, &self.shared.nodes).await;
        let Some(node) = self.shared.nodes.store().get("", &key.name) else {
            self.heard.lock().remove(&key.name);
            return Ok(Next::Done);
        };
        let own = self.start.elapsed();
        let (heard, all_silent) = self.listen(&node, own);
        let clocks = Clocks { own, wall: now() };
        let plan = plan(&node, &heard, self.graces, all_silent, clocks);
        let again = plan.again;
        self.perform(&key, &node, plan).await?;
        Ok(again.into())
    }

    /// Notes what is heard of a node, and whether anything is heard of any node.
    fn listen(&self, node: &Node, own: Duration) -> (Heard, bool) {
        let name = &node.metadata.name;
        let lease = self.shared.leases.store().get(NODE_LEASES, name);
        let renewed = lease.and_then(|l| l.spec.renew_time);
        let mut all = self.heard.lock();
        let heard = listen(all.get(name), node, renewed, own);
        all.insert(name.clone(), heard.clone());
        let all_silent = all.values().all(|h| h.at + self.graces.known <= own);
        (heard, all_silent)
    }

    async fn perform(&self, key: &Key, node: &Node, plan: Plan) -> Result<(), Error> {
        let object = ObjectRef::of(&Resource::NODES, &node.metadata);
        let mut version = node.metadata.resource_version.clone();
        if let Some(conditions) = plan.conditions {
            let patch =
                json!({"metadata": {"resourceVersion": version}, "status": {"conditions": conditions}});
            let reply: Partial = self.client.patch_status(&Resource::NODES, "", &key.name, &patch).await?;
            self.written.note(key, &reply.metadata);
            version = reply.metadata.resource_version;
            let message = format!("Node {} status is now: NodeNotReady", key.name);
            self.recorder.event(&object, EventType::Normal, "NodeNotReady", message);
            tracing::warn!(node = key.name, "nothing is heard of the node");
        }
        if let Some(taints) = plan.taints {
            let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"taints": taints}});
            let reply: Partial = self.client.merge_patch(&Resource::NODES, "", &key.name, &patch).await?;
            self.written.note(key, &reply.metadata);
        }
        if plan.pods_not_ready {
            self.mark_pods(&key.name).await?;
        }
        Ok(())
    }

    /// Pods of a node that is not ready are not ready either: endpoints must not lead to them.
    async fn mark_pods(&self, node: &str) -> Result<(), Error> {
        let pods = self.shared.pods.store().by_index(BY_NODE, node);
        for pod in pods.iter().filter(|p| p.is_ready() && !p.is_terminal()) {
            let (namespace, name, kind) = (&pod.metadata.namespace, &pod.metadata.name, PatchKind::Strategic);
            let patch = not_ready(pod);
            let reply = self
                .client
                .patch_subresource::<Partial>(&Resource::PODS, namespace, name, "status", kind, &patch)
                .await;
            match reply {
                Ok(_) => {
                    let object = ObjectRef::of(&Resource::PODS, &pod.metadata);
                    self.recorder.event(&object, EventType::Warning, "NodeNotReady", "Node is not ready");
                }
                Err(e) if e.is_not_found() || e.is_conflict() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn not_ready(pod: &Pod) -> Value {
    json!({
        "metadata": {"uid": pod.metadata.uid},
        "status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": now()}]},
    })
}
