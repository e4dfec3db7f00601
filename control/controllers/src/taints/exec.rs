//! Evicts pods from tainted nodes.

use super::plan::{Plan, plan};
use crate::context::now;
use crate::shared::Shared;
use crate::worker::Next;
use keelson_client::recorder::{EventType, ObjectRef, Recorder};
use keelson_client::views::{Partial, Pod};
use keelson_client::{Client, DeleteParams, Error, Key, PatchKind, Resource};
use serde_json::json;
use std::sync::Arc;

pub(super) struct Evictions {
    pub(super) client: Client,
    pub(super) recorder: Recorder,
    pub(super) shared: Arc<Shared>,
}

impl Evictions {
    /// `key` is a pod.
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(pod) = self.shared.pods.store().get(&key.namespace, &key.name) else {
            return Ok(Next::Done);
        };
        if pod.metadata.is_deleting() || pod.is_terminal() || pod.spec.node_name.is_empty() {
            return Ok(Next::Done);
        }
        let Some(node) = self.shared.nodes.store().get("", &pod.spec.node_name) else {
            return Ok(Next::Done);
        };
        match plan(&pod, &node.spec.taints, now()) {
            Plan::Stay => Ok(Next::Done),
            Plan::LeaveAfter(wait) => Ok(Next::After(wait)),
            Plan::Leave => self.evict(&pod).await,
        }
    }

    async fn evict(&self, pod: &Pod) -> Result<Next, Error> {
        let object = ObjectRef::of(&Resource::PODS, &pod.metadata);
        let message = format!("Marking for deletion Pod {}", pod.metadata.key());
        self.recorder.event(&object, EventType::Normal, "TaintManagerEviction", message);
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        let patch = disruption(
            &pod.metadata.uid,
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
        );
        let kind = PatchKind::Strategic;
        let marked = self
            .client
            .patch_subresource::<Partial>(&Resource::PODS, namespace, name, "status", kind, &patch)
            .await;
        match marked {
            Err(e) if !e.is_not_found() && !e.is_conflict() => return Err(e),
            _ => {}
        }
        let params = DeleteParams { uid: Some(pod.metadata.uid.clone()), ..DeleteParams::default() };
        match self.client.delete(&Resource::PODS, namespace, name, &params).await {
            Err(e) if !e.is_not_found() && !e.is_conflict() => Err(e),
            _ => Ok(Next::Done),
        }
    }
}

/// The strategic merge patch that says why a pod is about to be deleted (KEP-3329).
pub(crate) fn disruption(uid: &str, reason: &str, message: &str) -> serde_json::Value {
    json!({
        "metadata": {"uid": uid},
        "status": {"conditions": [{
            "type": "DisruptionTarget", "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": now(),
        }]},
    })
}
