//! Performs a ReplicaSet's plan: pods in slow-start batches, then the status.

use super::plan::{Observed, Plan, next_available, plan, status};
use crate::claim::{adoption, controller_reference, release};
use crate::context::now;
use crate::shared::{BY_OWNER, Shared, orphans};
use crate::template::{self, omit_empty, omit_zero};
use crate::worker::Next;
use crate::written::Written;
use futures::future::join_all;
use keelson_client::recorder::{EventType, ObjectRef, Recorder};
use keelson_client::views::{Partial, Pod, ReplicaSet, ReplicaSetStatus};
use keelson_client::{Client, DeleteParams, Error, Key, Resource};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct ReplicaSets {
    pub(super) client: Client,
    pub(super) recorder: Recorder,
    pub(super) shared: Arc<Shared>,
    pub(super) pods_written: Written<Key>,
    pub(super) sets_written: Written<Key>,
    /// Per set, the uids of pods that were deleted and may still look alive in the view.
    pub(super) deleting: Mutex<HashMap<Key, HashSet<String>>>,
}

/// What a round of changes came to: how it failed, if it did.
type Failure = Option<(&'static str, Error)>;

impl ReplicaSets {
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        self.pods_written.settle(&key, &self.shared.pods).await;
        self.sets_written.settle(&key, &self.shared.replica_sets).await;
        let Some(set) = self.shared.replica_sets.store().get(&key.namespace, &key.name) else {
            self.deleting.lock().remove(&key);
            return Ok(Next::Done);
        };
        let now = now();
        let pods = self.candidates(&set);
        let deleting = self.still_deleting(&key, &pods);
        let mut plan = plan(Observed { set: &set, pods, now, deleting: &deleting });
        self.claim(&set, &mut plan).await?;
        let failure = self.manage(&key, &set, &plan).await;
        let said = failure.as_ref().map(|(reason, e)| (*reason, e.to_string()));
        let wanted = status(&set, &plan, now, said);
        self.write_status(&key, &set, &wanted).await?;
        match failure {
            Some((_, e)) => Err(e),
            None if plan.more => Ok(Next::After(Duration::ZERO)),
            None => Ok(next_available(&set, &plan.active, now).into()),
        }
    }

    fn candidates(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let store = self.shared.pods.store();
        let mut pods = store.by_index(BY_OWNER, &set.metadata.uid);
        pods.extend(store.by_index(BY_OWNER, &orphans(&set.metadata.namespace)));
        pods
    }

    /// Forgets deletions that the view shows by now.
    fn still_deleting(&self, key: &Key, pods: &[Arc<Pod>]) -> HashSet<String> {
        let mut deleting = self.deleting.lock();
        let Some(uids) = deleting.get_mut(key) else { return HashSet::new() };
        let alive = pods.iter().filter(|p| !p.metadata.is_deleting()).map(|p| p.metadata.uid.as_str());
        let alive: HashSet<&str> = alive.collect();
        uids.retain(|uid| alive.contains(uid.as_str()));
        let left = uids.clone();
        if left.is_empty() {
            deleting.remove(key);
        }
        left
    }

    async fn claim(&self, set: &ReplicaSet, plan: &mut Plan) -> Result<(), Error> {
        let namespace = &set.metadata.namespace;
        for pod in &plan.release {
            let patch = release(&set.metadata, &pod.metadata.uid);
            self.patch_pod(namespace, &pod.metadata.name, &patch).await?;
        }
        if plan.adopt.is_empty() {
            return Ok(());
        }
        // The view may be old: a set that is being deleted must not adopt.
        let live: Partial = self.client.get(&Resource::REPLICA_SETS, namespace, &set.metadata.name).await?;
        if live.metadata.uid != set.metadata.uid || live.metadata.is_deleting() {
            let adopted: HashSet<&str> = plan.adopt.iter().map(|p| p.metadata.uid.as_str()).collect();
            plan.active.retain(|p| !adopted.contains(p.metadata.uid.as_str()));
            return Ok(());
        }
        for pod in &plan.adopt {
            let patch = adoption(&Resource::REPLICA_SETS, &set.metadata, &pod.metadata.uid);
            self.patch_pod(namespace, &pod.metadata.name, &patch).await?;
        }
        Ok(())
    }

    async fn patch_pod(&self, namespace: &str, name: &str, patch: &Value) -> Result<(), Error> {
        match self.client.strategic_patch::<Partial>(&Resource::PODS, namespace, name, patch).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }

    async fn manage(&self, key: &Key, set: &ReplicaSet, plan: &Plan) -> Failure {
        if plan.create > 0 {
            return self.create(key, set, plan.create).await.err().map(|e| ("FailedCreate", e));
        }
        self.delete(key, set, &plan.delete).await.err().map(|e| ("FailedDelete", e))
    }

    /// Batches of 1, 2, 4 ...: when creating fails for a reason they all share, few attempts are wasted.
    async fn create(&self, key: &Key, set: &ReplicaSet, count: usize) -> Result<(), Error> {
        let owner = controller_reference(&Resource::REPLICA_SETS, &set.metadata);
        let pod = template::pod(&set.spec.template, &set.metadata.name, &owner);
        let object = ObjectRef::of(&Resource::REPLICA_SETS, &set.metadata);
        let (mut left, mut batch) = (count, 1);
        while left > 0 {
            batch = batch.min(left);
            let create = || self.client.create::<Partial>(&Resource::PODS, &key.namespace, &pod);
            let mut failed = None;
            for result in join_all((0..batch).map(|_| create())).await {
                match result {
                    Ok(created) => {
                        self.pods_written.note(key, &created.metadata);
                        let message = format!("Created pod: {}", created.metadata.name);
                        self.recorder.event(&object, EventType::Normal, "SuccessfulCreate", message);
                    }
                    Err(e) => failed = Some(e),
                }
            }
            if let Some(e) = failed {
                if !e.is_namespace_terminating() {
                    let message = format!("Error creating: {e}");
                    self.recorder.event(&object, EventType::Warning, "FailedCreate", message);
                }
                return Err(e);
            }
            left -= batch;
            batch *= 2;
        }
        Ok(())
    }

    async fn delete(&self, key: &Key, set: &ReplicaSet, pods: &[Arc<Pod>]) -> Result<(), Error> {
        let object = ObjectRef::of(&Resource::REPLICA_SETS, &set.metadata);
        let deletions = pods.iter().map(|pod| async {
            let params = DeleteParams { uid: Some(pod.metadata.uid.clone()), ..DeleteParams::default() };
            self.deleting.lock().entry(key.clone()).or_default().insert(pod.metadata.uid.clone());
            match self.client.delete(&Resource::PODS, &key.namespace, &pod.metadata.name, &params).await {
                Ok(()) => {
                    let message = format!("Deleted pod: {}", pod.metadata.name);
                    self.recorder.event(&object, EventType::Normal, "SuccessfulDelete", message);
                    Ok(())
                }
                // Gone, or replaced by another of the same name: either way this pod is no more.
                Err(e) if e.is_not_found() || e.is_conflict() => Ok(()),
                Err(e) => {
                    if let Some(uids) = self.deleting.lock().get_mut(key) {
                        uids.remove(&pod.metadata.uid);
                    }
                    let message = format!("Error deleting: {e}");
                    self.recorder.event(&object, EventType::Warning, "FailedDelete", message);
                    Err(e)
                }
            }
        });
        join_all(deletions).await.into_iter().find(Result::is_err).unwrap_or(Ok(()))
    }

    async fn write_status(
        &self,
        key: &Key,
        set: &ReplicaSet,
        wanted: &ReplicaSetStatus,
    ) -> Result<(), Error> {
        if *wanted == set.status {
            return Ok(());
        }
        let patch = json!({
            "metadata": {"resourceVersion": set.metadata.resource_version},
            "status": {
                "replicas": wanted.replicas,
                "fullyLabeledReplicas": omit_zero(wanted.fully_labeled_replicas),
                "readyReplicas": omit_zero(wanted.ready_replicas),
                "availableReplicas": omit_zero(wanted.available_replicas),
                "terminatingReplicas": wanted.terminating_replicas,
                "observedGeneration": omit_zero(wanted.observed_generation),
                "conditions": omit_empty(&wanted.conditions),
            },
        });
        let reply =
            self.client.patch_status(&Resource::REPLICA_SETS, &key.namespace, &key.name, &patch).await;
        match reply {
            Ok(Partial { metadata }) => self.sets_written.note(key, &metadata),
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}
