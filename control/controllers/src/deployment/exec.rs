//! Performs a Deployment's plan.

use super::plan::{NewSet, Observed, Plan, plan};
use super::set::{REVISION, same_template};
use crate::claim::{Claim, adoption, claim, release};
use crate::context::now;
use crate::shared::{BY_OWNER, Shared, orphans};
use crate::template::{omit_empty, omit_zero};
use crate::worker::Next;
use crate::written::Written;
use keelson_client::recorder::{EventType, ObjectRef, Recorder};
use keelson_client::views::{Deployment, DeploymentStatus, Partial, ReplicaSet};
use keelson_client::{Client, DeleteParams, Error, Key, PatchKind, Propagation, Resource};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Deployments {
    pub(super) client: Client,
    pub(super) recorder: Recorder,
    pub(super) shared: Arc<Shared>,
    pub(super) sets_written: Written<Key>,
    pub(super) written: Written<Key>,
}

impl Deployments {
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        self.sets_written.settle(&key, &self.shared.replica_sets).await;
        self.written.settle(&key, &self.shared.deployments).await;
        let Some(deployment) = self.shared.deployments.store().get(&key.namespace, &key.name) else {
            return Ok(Next::Done);
        };
        let sets = self.claim(&key, &deployment).await?;
        let pods = self.shared.pods.store();
        let has_pods = |uid: &str| pods.by_index(BY_OWNER, uid).iter().any(|p| !p.is_terminal());
        let plan = plan(Observed { deployment: &deployment, sets, has_pods: &has_pods, now: now() });
        self.perform(&key, &deployment, plan).await
    }

    /// The sets that are the deployment's, after adoption and release.
    async fn claim(&self, key: &Key, deployment: &Deployment) -> Result<Vec<Arc<ReplicaSet>>, Error> {
        let store = self.shared.replica_sets.store();
        let mut sets = store.by_index(BY_OWNER, &deployment.metadata.uid);
        sets.extend(store.by_index(BY_OWNER, &orphans(&key.namespace)));
        let mut mine = Vec::new();
        for set in sets {
            let patch = match claim(&deployment.metadata, &deployment.spec.selector, &set.metadata) {
                Claim::Mine => {
                    mine.push(set);
                    continue;
                }
                Claim::Other => continue,
                Claim::Release => release(&deployment.metadata, &set.metadata.uid),
                Claim::Adopt => {
                    let live: Partial =
                        self.client.get(&Resource::DEPLOYMENTS, &key.namespace, &key.name).await?;
                    if live.metadata.uid != deployment.metadata.uid || live.metadata.is_deleting() {
                        continue;
                    }
                    adoption(&Resource::DEPLOYMENTS, &deployment.metadata, &set.metadata.uid)
                }
            };
            let (client, name) = (&self.client, &set.metadata.name);
            let reply = client
                .strategic_patch::<ReplicaSet>(&Resource::REPLICA_SETS, &key.namespace, name, &patch)
                .await?;
            if reply.metadata.is_controlled_by(&deployment.metadata.uid) {
                mine.push(Arc::new(reply));
            }
        }
        Ok(mine)
    }

    async fn perform(&self, key: &Key, deployment: &Deployment, plan: Plan) -> Result<Next, Error> {
        let object = ObjectRef::of(&Resource::DEPLOYMENTS, &deployment.metadata);
        let said = |name: &str, from: i64, to: i64| {
            let way = if to > from { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {name} from {from} to {to}");
            self.recorder.event(&object, EventType::Normal, "ScalingReplicaSet", message);
        };
        if let Some(new) = &plan.create {
            if !self.create(key, deployment, new).await? {
                return Ok(Next::After(Duration::ZERO));
            }
            if new.size > 0 {
                said(&new.name, 0, new.size);
            }
        }
        for change in &plan.patches {
            let client = &self.client;
            let reply: Partial = client
                .merge_patch(&Resource::REPLICA_SETS, &key.namespace, &change.name, &change.patch)
                .await?;
            self.sets_written.note(key, &reply.metadata);
            if change.from != change.to {
                said(&change.name, change.from, change.to);
            }
        }
        let mut version = deployment.metadata.resource_version.clone();
        if let Some(revision) = plan.revision {
            let patch = json!({"metadata": {
                "resourceVersion": version,
                "annotations": {REVISION: revision.to_string()},
            }});
            version = self.patch(key, "", &patch).await?;
        }
        for set in &plan.delete {
            self.delete(key, set).await?;
        }
        if let Some(status) = &plan.status {
            self.patch(key, "status", &status_patch(&version, status)).await?;
        }
        Ok(plan.again.into())
    }

    /// Creates a set; false when the name was taken by a set of another template, which is noted.
    async fn create(&self, key: &Key, deployment: &Deployment, new: &NewSet) -> Result<bool, Error> {
        let created = self.client.create::<Partial>(&Resource::REPLICA_SETS, &key.namespace, &new.body).await;
        match created {
            Ok(created) => {
                self.sets_written.note(key, &created.metadata);
                return Ok(true);
            }
            Err(e) if e.is_already_exists() => {}
            Err(e) => {
                let object = ObjectRef::of(&Resource::DEPLOYMENTS, &deployment.metadata);
                let message = format!("Failed to create new replica set \"{}\": {e}", new.name);
                self.recorder.event(&object, EventType::Warning, "ReplicaSetCreateError", message);
                return Err(e);
            }
        }
        let taken: ReplicaSet = self.client.get(&Resource::REPLICA_SETS, &key.namespace, &new.name).await?;
        let mine = taken.metadata.is_controlled_by(&deployment.metadata.uid);
        if mine && same_template(&taken.spec.template, &deployment.spec.template) {
            self.sets_written.note(key, &taken.metadata);
            return Ok(false);
        }
        let collisions = deployment.status.collision_count.unwrap_or(0) + 1;
        let patch = json!({
            "metadata": {"resourceVersion": deployment.metadata.resource_version},
            "status": {"collisionCount": collisions},
        });
        self.patch(key, "status", &patch).await?;
        Ok(false)
    }

    async fn delete(&self, key: &Key, set: &ReplicaSet) -> Result<(), Error> {
        let params = DeleteParams {
            uid: Some(set.metadata.uid.clone()),
            propagation: Some(Propagation::Background),
            ..DeleteParams::default()
        };
        match self.client.delete(&Resource::REPLICA_SETS, &key.namespace, &set.metadata.name, &params).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }

    async fn patch(&self, key: &Key, subresource: &str, patch: &Value) -> Result<String, Error> {
        let reply: Partial = self
            .client
            .patch_subresource(
                &Resource::DEPLOYMENTS,
                &key.namespace,
                &key.name,
                subresource,
                PatchKind::Merge,
                patch,
            )
            .await?;
        self.written.note(key, &reply.metadata);
        Ok(reply.metadata.resource_version)
    }
}

fn status_patch(version: &str, status: &DeploymentStatus) -> Value {
    json!({
        "metadata": {"resourceVersion": version},
        "status": {
            "observedGeneration": omit_zero(status.observed_generation),
            "replicas": omit_zero(status.replicas),
            "updatedReplicas": omit_zero(status.updated_replicas),
            "readyReplicas": omit_zero(status.ready_replicas),
            "availableReplicas": omit_zero(status.available_replicas),
            "unavailableReplicas": omit_zero(status.unavailable_replicas),
            "terminatingReplicas": status.terminating_replicas,
            "conditions": omit_empty(&status.conditions),
        },
    })
}
