//! Removes pods of nodes that are gone.

use super::plan::{Plan, plan, surplus};
use crate::shared::Shared;
use crate::taints::exec::disruption;
use crate::worker::Next;
use keelson_client::views::{Partial, Pod};
use keelson_client::{Client, DeleteParams, Error, Key, PatchKind, Resource};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct PodGc {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    /// Since when a node that pods name has not been there.
    pub(super) missing: Mutex<HashMap<String, Instant>>,
}

impl PodGc {
    /// `key` is a pod.
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(pod) = self.shared.pods.store().get(&key.namespace, &key.name) else {
            return Ok(Next::Done);
        };
        match plan(&pod, self.missing_for(&pod.spec.node_name)) {
            Plan::Keep => Ok(Next::Done),
            Plan::Wait(wait) => Ok(Next::After(wait)),
            Plan::Unscheduled => self.delete(&pod).await,
            Plan::NodeGone => {
                let node = self.client.get::<Partial>(&Resource::NODES, "", &pod.spec.node_name).await;
                match node {
                    Err(e) if e.is_not_found() => {
                        self.fail(&pod).await?;
                        self.delete(&pod).await
                    }
                    Err(e) => Err(e),
                    Ok(_) => Ok(Next::Done),
                }
            }
        }
    }

    /// Removes the pods that have ended and are more than `max`. What fails is tried again in the next round.
    pub(super) async fn remove_surplus(&self, max: usize) {
        let surplus = surplus(self.shared.pods.store().list(), max);
        if !surplus.is_empty() {
            tracing::info!(pods = surplus.len(), max, "removing pods that have ended");
        }
        for pod in surplus {
            if let Err(error) = self.delete(&pod).await {
                tracing::warn!(pod = %pod.metadata.key(), %error, "a pod that has ended was not removed");
            }
        }
    }

    fn missing_for(&self, node: &str) -> Option<Duration> {
        let mut missing = self.missing.lock();
        if self.shared.nodes.store().get("", node).is_some() {
            missing.remove(node);
            return None;
        }
        Some(missing.entry(node.to_owned()).or_insert_with(Instant::now).elapsed())
    }

    async fn fail(&self, pod: &Pod) -> Result<(), Error> {
        if pod.is_terminal() {
            return Ok(());
        }
        let mut patch = disruption(&pod.metadata.uid, "DeletionByPodGC", "PodGC: node no longer exists");
        patch["status"]["phase"] = json!("Failed");
        let (namespace, name, kind) = (&pod.metadata.namespace, &pod.metadata.name, PatchKind::Strategic);
        let failed = self
            .client
            .patch_subresource::<Partial>(&Resource::PODS, namespace, name, "status", kind, &patch)
            .await;
        match failed {
            Err(e) if !e.is_not_found() && !e.is_conflict() => Err(e),
            _ => Ok(()),
        }
    }

    async fn delete(&self, pod: &Pod) -> Result<Next, Error> {
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            uid: Some(pod.metadata.uid.clone()),
            ..DeleteParams::default()
        };
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        match self.client.delete(&Resource::PODS, namespace, name, &params).await {
            Err(e) if !e.is_not_found() && !e.is_conflict() => Err(e),
            _ => Ok(Next::Done),
        }
    }
}
