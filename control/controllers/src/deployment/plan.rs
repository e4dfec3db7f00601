//! What a Deployment needs next: a new ReplicaSet, other sizes, less history, another status.

use super::rolling::{reconcile_new, reconcile_old, scale_proportionally};
use super::rounding::{bounds, is_rolling, replicas};
use super::set::{
    DESIRED, HASH_LABEL, MAX, REVISION, Set, by_age, inherited, same_template, template_hash, without_hash,
};
use super::status::{self, StatusInput};
use crate::claim::controller_reference;
use jiff::Timestamp;
use keelson_client::Resource;
use keelson_client::views::{Deployment, DeploymentStatus, ReplicaSet};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What the views show.
pub(super) struct Observed<'a> {
    pub(super) deployment: &'a Deployment,
    /// The ReplicaSets that it controls.
    pub(super) sets: Vec<Arc<ReplicaSet>>,
    /// For each uid of a set, whether one of its pods has not ended; needed by `Recreate` only.
    pub(super) has_pods: &'a dyn Fn(&str) -> bool,
    pub(super) now: Timestamp,
}

/// What to do, in this order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Option<NewSet>,
    pub(super) patches: Vec<SetPatch>,
    /// The value of the deployment's own revision annotation when it has to change.
    pub(super) revision: Option<i64>,
    pub(super) delete: Vec<Arc<ReplicaSet>>,
    pub(super) status: Option<DeploymentStatus>,
    /// When the deadline of progress is due.
    pub(super) again: Option<Duration>,
}

/// A ReplicaSet to create.
#[derive(Debug, PartialEq)]
pub(super) struct NewSet {
    pub(super) name: String,
    pub(super) size: i64,
    pub(super) body: Value,
}

/// A change of a ReplicaSet.
#[derive(Debug, PartialEq)]
pub(super) struct SetPatch {
    pub(super) name: String,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) patch: Value,
}

pub(super) fn plan(observed: Observed<'_>) -> Plan {
    let Observed { deployment, sets, has_pods, now } = observed;
    let mut work = Work::new(deployment, sets, now);
    if deployment.metadata.is_deleting() {
        return work.finish();
    }
    status::check_paused(&mut work.conditions, deployment, now);
    if deployment.spec.paused || work.is_scaling() {
        work.newest(false);
        work.scale();
        if deployment.spec.paused {
            work.clean_up();
        }
    } else if is_rolling(deployment) {
        work.newest(true);
        work.roll();
    } else {
        work.recreate(has_pods);
    }
    work.finish()
}

struct Work<'a> {
    deployment: &'a Deployment,
    now: Timestamp,
    /// The set with the deployment's template, and all others, oldest first.
    new: Option<Set>,
    old: Vec<Set>,
    created: Option<NewSet>,
    conditions: Vec<keelson_client::views::Condition>,
    revision: Option<i64>,
    delete: Vec<Arc<ReplicaSet>>,
}

impl<'a> Work<'a> {
    fn new(deployment: &'a Deployment, sets: Vec<Arc<ReplicaSet>>, now: Timestamp) -> Self {
        let mut sets: Vec<Set> = sets.into_iter().map(Set::new).collect();
        by_age(&mut sets);
        // Of several sets with the template the oldest is the new one; the others are history.
        let template = &deployment.spec.template;
        let new = sets.iter().position(|s| same_template(&s.object.spec.template, template));
        let new = new.map(|i| sets.remove(i));
        Self {
            deployment,
            now,
            new,
            old: sets,
            created: None,
            conditions: deployment.status.conditions.clone(),
            revision: None,
            delete: Vec::new(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Set> {
        self.old.iter().chain(&self.new)
    }

    /// A set with pods still carries the figure of another size of the deployment.
    fn is_scaling(&self) -> bool {
        let replicas = replicas(self.deployment);
        let mut active = self.all().filter(|s| s.size > 0);
        active.any(|s| s.number(DESIRED).is_some_and(|desired| desired != replicas))
    }

    /// Brings the new set's annotations up to date, or plans its creation.
    fn newest(&mut self, create: bool) {
        let revision = self.old.iter().map(Set::revision).max().unwrap_or(0) + 1;
        match &mut self.new {
            Some(new) => {
                new.note_newest(self.deployment, revision);
                new.min_ready_seconds = self.deployment.spec.min_ready_seconds;
                let revision = new.revision();
                let message = format!("Found new replica set \"{}\"", new.name());
                self.note_revision(revision);
                if self.has_deadline() && !status::has(&self.conditions, "Progressing") {
                    let found = status::progressing("True", "FoundNewReplicaSet", message, self.now);
                    status::set(&mut self.conditions, found);
                }
            }
            None if create => self.create(revision),
            None => {}
        }
    }

    fn has_deadline(&self) -> bool {
        status::deadline(self.deployment).is_some()
    }

    fn note_revision(&mut self, revision: i64) {
        let revision_text = revision.to_string();
        if self.deployment.metadata.annotation(REVISION) != Some(&revision_text) {
            self.revision = Some(revision);
        }
    }

    fn create(&mut self, revision: i64) {
        let deployment = self.deployment;
        let hash = template_hash(&deployment.spec.template, deployment.status.collision_count);
        let name = format!("{}-{hash}", deployment.metadata.name);
        let total: i64 = self.old.iter().map(|s| s.size).sum();
        let size = super::rolling::room_for_new(deployment, 0, total);
        let body = new_set(deployment, &name, &hash, revision, size);
        if self.has_deadline() {
            let message = format!("Created new replica set \"{name}\"");
            let created = status::progressing("True", "NewReplicaSetCreated", message, self.now);
            status::set(&mut self.conditions, created);
        }
        self.note_revision(revision);
        self.created = Some(NewSet { name, size, body });
    }

    fn roll(&mut self) {
        let Some(new) = &mut self.new else { return };
        if reconcile_new(self.deployment, new, &self.old) {
            return;
        }
        if reconcile_old(self.deployment, new, &mut self.old) {
            return;
        }
        self.clean_up_when_complete();
    }

    fn recreate(&mut self, has_pods: &dyn Fn(&str) -> bool) {
        self.newest(false);
        let mut scaled = false;
        for old in self.old.iter_mut().filter(|s| s.size > 0) {
            scaled |= old.scale(0, self.deployment);
        }
        // Old pods must be gone, not only on their way out, before new ones start.
        if scaled || self.old.iter().any(|s| has_pods(s.uid())) {
            return;
        }
        self.newest(true);
        let size = replicas(self.deployment);
        if let Some(new) = &mut self.new
            && new.size != size
        {
            new.scale(size, self.deployment);
            return;
        }
        self.clean_up_when_complete();
    }

    /// A changed size without a rollout: one set takes it, or several share it in proportion.
    fn scale(&mut self) {
        let wanted = replicas(self.deployment);
        let active = self.all().filter(|s| s.size > 0).count();
        if active <= 1 {
            let only = self.old.iter_mut().chain(&mut self.new).filter(|s| s.size > 0).last();
            let target = match only {
                Some(only) => Some(only),
                None => self.new.as_mut().or(self.old.last_mut()),
            };
            if let Some(target) = target {
                target.scale(wanted, self.deployment);
            }
            return;
        }
        let saturated = self.new.as_ref().is_some_and(|new| {
            new.size == wanted && new.number(DESIRED) == Some(wanted) && new.available() == wanted
        });
        if saturated {
            for old in self.old.iter_mut().filter(|s| s.size > 0) {
                old.scale(0, self.deployment);
            }
        } else if is_rolling(self.deployment) {
            let sets = self.old.iter_mut().chain(&mut self.new).filter(|s| s.size > 0).collect();
            scale_proportionally(self.deployment, sets);
        }
    }

    fn clean_up_when_complete(&mut self) {
        let status = self.status();
        if status::is_complete(self.deployment, &status) {
            self.clean_up();
        }
    }

    /// Drops the oldest revisions without pods beyond the limit.
    fn clean_up(&mut self) {
        let Some(limit) = self.deployment.spec.revision_history_limit else { return };
        let mut history: Vec<&Set> = self.old.iter().filter(|s| !s.object.metadata.is_deleting()).collect();
        let limit = usize::try_from(limit).unwrap_or(0);
        let surplus = history.len().saturating_sub(limit);
        history.sort_by_key(|s| s.revision());
        let unused = |s: &&Set| {
            let (object, status) = (&s.object, &s.object.status);
            status.replicas == 0
                && s.size == 0
                && s.old_size() == 0
                && object.metadata.generation <= status.observed_generation
        };
        self.delete = history.into_iter().take(surplus).filter(unused).map(|s| s.object.clone()).collect();
    }

    fn status(&self) -> DeploymentStatus {
        status::status(&StatusInput {
            deployment: self.deployment,
            conditions: &self.conditions,
            new: self.new.as_ref(),
            old: &self.old,
            now: self.now,
            progress: !self.deployment.spec.paused
                && !self.deployment.metadata.is_deleting()
                && !self.is_scaling_now(),
            created: self.created.as_ref().map(|c| c.name.as_str()),
        })
    }

    /// Whether this round was one of scaling, by the objects as they were.
    fn is_scaling_now(&self) -> bool {
        let replicas = replicas(self.deployment);
        let desired = |s: &Set| s.object.metadata.annotation(DESIRED).and_then(|d| d.parse::<i64>().ok());
        self.all().any(|s| s.old_size() > 0 && desired(s).is_some_and(|d| d != replicas))
    }

    fn finish(self) -> Plan {
        let status = self.status();
        let again = status::next_check(self.deployment, &status, self.now);
        let patches = self.all().filter_map(|set| {
            let patch = set.patch()?;
            Some(SetPatch { name: set.name().to_owned(), from: set.old_size(), to: set.size, patch })
        });
        Plan {
            patches: patches.collect(),
            create: self.created,
            revision: self.revision,
            delete: self.delete,
            status: (status != self.deployment.status).then_some(status),
            again,
        }
    }
}

/// The body of a new ReplicaSet.
fn new_set(deployment: &Deployment, name: &str, hash: &str, revision: i64, size: i64) -> Value {
    let mut template = without_hash(&deployment.spec.template);
    template["metadata"]["labels"][HASH_LABEL] = json!(hash);
    let mut selector = json!(deployment.spec.selector);
    selector["matchLabels"][HASH_LABEL] = json!(hash);
    let mut annotations: serde_json::Map<String, Value> =
        inherited(deployment).map(|(k, v)| (k.clone(), json!(v))).collect();
    let wanted = replicas(deployment);
    annotations.insert(REVISION.to_owned(), json!(revision.to_string()));
    annotations.insert(DESIRED.to_owned(), json!(wanted.to_string()));
    annotations.insert(MAX.to_owned(), json!((wanted + bounds(deployment).surge).to_string()));
    let mut body = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": deployment.metadata.namespace,
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [controller_reference(&Resource::DEPLOYMENTS, &deployment.metadata)],
        },
        "spec": {"replicas": size, "selector": selector, "template": template},
    });
    if deployment.spec.min_ready_seconds > 0 {
        body["spec"]["minReadySeconds"] = json!(deployment.spec.min_ready_seconds);
    }
    body
}
