//! The cluster in columns: one vector per property of nodes, counters kept up to date pod by pod.

mod nodes;
mod signatures;

pub(crate) use nodes::Nodes;
pub(crate) use signatures::Signatures;

use crate::pod::PodInfo;
use crate::reason::Hints;
use crate::selector::NamespaceLabels;
use keelson_client::views::{LabelSelector, Node};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Everything that a choice depends on.
#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) nodes: Nodes,
    pub(crate) signatures: Signatures,
    pub(crate) namespaces: NamespaceLabels,
    /// Selectors of Services by namespace and name, for default spreading.
    pub(crate) services: BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>,
    /// Selectors of ReplicaSets by their uid, for default spreading.
    pub(crate) owners: HashMap<String, LabelSelector>,
    /// Pods that are on a node or assumed to be, by uid.
    pods: HashMap<String, Arc<PodInfo>>,
}

impl Cluster {
    /// A node came or changed; gives the kinds of change.
    pub(crate) fn set_node(&mut self, node: &Node) -> Option<Hints> {
        let name = node.metadata.name.as_str();
        let known = self.nodes.find(name).is_some_and(|index| self.nodes.is_real(index));
        let hints = self.nodes.set(node);
        if known { hints } else { Some(Hints::ALL) }
    }

    /// A node is gone. Its column stays while pods are on it.
    pub(crate) fn remove_node(&mut self, name: &str) {
        self.nodes.unset(name);
    }

    /// A pod is on a node, or changed there. Another pod of the same uid is replaced.
    pub(crate) fn set_pod(&mut self, pod: Arc<PodInfo>) {
        self.remove_pod(&pod.meta.uid);
        let index = self.nodes.index(&pod.node);
        self.nodes.add_pod(index, &pod);
        self.signatures.add(&pod, index);
        self.pods.insert(pod.meta.uid.clone(), pod);
    }

    /// A pod left its node; gives it when it was known.
    pub(crate) fn remove_pod(&mut self, uid: &str) -> Option<Arc<PodInfo>> {
        let pod = self.pods.remove(uid)?;
        let index = self.nodes.index(&pod.node);
        self.nodes.remove_pod(index, &pod);
        self.signatures.remove(&pod, index);
        self.nodes.drop_if_unused(index);
        Some(pod)
    }

    /// The uids of all pods that are on a node.
    pub(crate) fn uids(&self) -> impl Iterator<Item = &String> {
        self.pods.keys()
    }

    pub(crate) fn pod(&self, uid: &str) -> Option<&Arc<PodInfo>> {
        self.pods.get(uid)
    }
}
