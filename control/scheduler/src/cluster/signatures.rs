//! Pods counted by what selectors look at.
//!
//! The pods of one ReplicaSet have the same namespace and labels. Counting them per node under that signature
//! lets a selector be evaluated once per signature and not once per pod.

use crate::pod::PodInfo;
use std::collections::{BTreeMap, HashMap};

type Labels = BTreeMap<String, String>;

/// Pods that are alike: their labels, and on how many of each node they are.
#[derive(Debug, Default)]
pub(crate) struct Signature {
    pub(crate) nodes: HashMap<usize, u32>,
}

/// Signatures by namespace and labels; those of pods that are being deleted are apart.
#[derive(Default)]
pub(crate) struct Signatures(HashMap<String, HashMap<(Labels, bool), Signature>>);

impl Signatures {
    pub(super) fn add(&mut self, pod: &PodInfo, node: usize) {
        let key = (pod.meta.labels.clone(), pod.meta.is_deleting());
        let namespace = self.0.entry(pod.meta.namespace.clone()).or_default();
        *namespace.entry(key).or_default().nodes.entry(node).or_default() += 1;
    }

    pub(super) fn remove(&mut self, pod: &PodInfo, node: usize) {
        let Some(namespace) = self.0.get_mut(&pod.meta.namespace) else { return };
        let key = (pod.meta.labels.clone(), pod.meta.is_deleting());
        let Some(signature) = namespace.get_mut(&key) else { return };
        if let Some(count) = signature.nodes.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                signature.nodes.remove(&node);
            }
        }
        if signature.nodes.is_empty() {
            namespace.remove(&key);
            if namespace.is_empty() {
                self.0.remove(&pod.meta.namespace);
            }
        }
    }

    /// The signatures of a namespace: labels, whether being deleted, counts by node.
    pub(crate) fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = (&Labels, bool, &Signature)> {
        let all = self.0.get(namespace).into_iter().flatten();
        all.map(|((labels, deleting), signature)| (labels, *deleting, signature))
    }

    /// All signatures with their namespaces.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Labels, &Signature)> {
        self.0.iter().flat_map(|(namespace, all)| {
            all.iter().map(move |((labels, _), signature)| (namespace.as_str(), labels, signature))
        })
    }
}
