//! The ReplicaSets of a Deployment while a plan is made: what they are, and what they will be.

use super::rounding::{bounds, replicas};
use keelson_client::views::{Deployment, ReplicaSet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
pub(super) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";
pub(super) const HASH_LABEL: &str = "pod-template-hash";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";

/// A ReplicaSet with the changes planned for it.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) object: Arc<ReplicaSet>,
    /// `spec.replicas` as it will be.
    pub(super) size: i64,
    /// Annotations as they will be.
    pub(super) annotations: BTreeMap<String, String>,
    /// `spec.minReadySeconds` as it will be.
    pub(super) min_ready_seconds: i64,
}

impl Set {
    pub(super) fn new(object: Arc<ReplicaSet>) -> Self {
        Self {
            size: object.spec.replicas.unwrap_or(1),
            annotations: object.metadata.annotations.clone(),
            min_ready_seconds: object.spec.min_ready_seconds,
            object,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.object.metadata.name
    }

    pub(super) fn uid(&self) -> &str {
        &self.object.metadata.uid
    }

    pub(super) fn old_size(&self) -> i64 {
        self.object.spec.replicas.unwrap_or(1)
    }

    pub(super) fn available(&self) -> i64 {
        self.object.status.available_replicas
    }

    pub(super) fn number(&self, annotation: &str) -> Option<i64> {
        self.annotations.get(annotation)?.parse().ok()
    }

    pub(super) fn revision(&self) -> i64 {
        self.number(REVISION).unwrap_or(0)
    }

    /// Sets the size, and on it the figures that proportional scaling reads later. True when the size changed.
    pub(super) fn scale(&mut self, size: i64, deployment: &Deployment) -> bool {
        self.size = size;
        self.note_figures(deployment);
        self.size != self.old_size()
    }

    pub(super) fn note_figures(&mut self, deployment: &Deployment) {
        let replicas = replicas(deployment);
        self.annotations.insert(DESIRED.to_owned(), replicas.to_string());
        let max = replicas + bounds(deployment).surge;
        self.annotations.insert(MAX.to_owned(), max.to_string());
    }

    /// Takes over the deployment's annotations and makes this the newest revision.
    pub(super) fn note_newest(&mut self, deployment: &Deployment, revision: i64) {
        for (name, value) in inherited(deployment) {
            self.annotations.insert(name.clone(), value.clone());
        }
        let old = self.revision();
        if old < revision {
            if old > 0 {
                let history = self.annotations.entry(REVISION_HISTORY.to_owned()).or_default();
                if !history.is_empty() {
                    history.push(',');
                }
                history.push_str(&old.to_string());
            }
            self.annotations.insert(REVISION.to_owned(), revision.to_string());
        }
    }

    /// The merge patch that makes the object what is planned; `None` when it is that already.
    pub(super) fn patch(&self) -> Option<Value> {
        let mut patch = json!({});
        if self.size != self.old_size() {
            patch["spec"]["replicas"] = json!(self.size);
        }
        if self.min_ready_seconds != self.object.spec.min_ready_seconds {
            patch["spec"]["minReadySeconds"] = json!(self.min_ready_seconds);
        }
        for (name, value) in &self.annotations {
            if self.object.metadata.annotation(name) != Some(value) {
                patch["metadata"]["annotations"][name] = json!(value);
            }
        }
        if patch.as_object().is_none_or(serde_json::Map::is_empty) {
            return None;
        }
        patch["metadata"]["resourceVersion"] = json!(self.object.metadata.resource_version);
        Some(patch)
    }
}

/// The deployment's annotations that its ReplicaSets get.
pub(super) fn inherited(deployment: &Deployment) -> impl Iterator<Item = (&String, &String)> {
    let own = [LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED, MAX, ROLLBACK_TO];
    deployment.metadata.annotations.iter().filter(move |(name, _)| !own.contains(&name.as_str()))
}

/// Oldest first.
pub(super) fn by_age(sets: &mut [Set]) {
    sets.sort_by(|a, b| {
        let (a, b) = (&a.object.metadata, &b.object.metadata);
        a.creation_timestamp.cmp(&b.creation_timestamp).then_with(|| a.name.cmp(&b.name))
    });
}

/// Whether two templates make the same pods; the hash label is not part of what the user wrote.
pub(super) fn same_template(a: &Value, b: &Value) -> bool {
    without_hash(a) == without_hash(b)
}

pub(super) fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove(HASH_LABEL);
        }
        metadata.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|o| !o.is_empty()));
    }
    template
}

/// The value of the hash label: FNV-1a of the template and the number of collisions so far, in the alphabet
/// that Kubernetes uses for generated names.
pub(super) fn template_hash(template: &Value, collisions: Option<i64>) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash: u32 = 0x811c_9dc5;
    let mut eat = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    };
    // serde_json keeps the members of objects sorted: equal templates have equal texts.
    eat(without_hash(template).to_string().as_bytes());
    if let Some(collisions) = collisions {
        eat(&collisions.to_le_bytes());
    }
    hash.to_string().bytes().map(|b| char::from(ALPHABET[usize::from(b) % ALPHABET.len()])).collect()
}
