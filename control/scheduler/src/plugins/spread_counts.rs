//! Counting for PodTopologySpread: which constraints a pod has, and the matching pods per node.

use super::{node_affinity, taints};
use crate::cluster::Cluster;
use crate::pod::PodInfo;
use crate::selector::merge_keys;
use keelson_client::views::{LabelSelector, Requirement, TopologySpreadConstraint};
use std::collections::HashMap;

pub(super) const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// A constraint with its selector made ready.
pub(super) struct Constraint {
    pub(super) max_skew: i64,
    pub(super) topology_key: String,
    pub(super) min_domains: i64,
    selector: Option<LabelSelector>,
    honor_affinity: bool,
    honor_taints: bool,
}

impl Constraint {
    fn new(constraint: &TopologySpreadConstraint, pod: &PodInfo) -> Self {
        let mut selector = constraint.label_selector.clone();
        if let Some(selector) = &mut selector {
            merge_keys(selector, &constraint.match_label_keys, "In", &pod.meta.labels);
        }
        Self {
            max_skew: constraint.max_skew,
            topology_key: constraint.topology_key.clone(),
            min_domains: constraint.min_domains.unwrap_or(1),
            selector,
            honor_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            honor_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        }
    }

    pub(super) fn matches_itself(&self, pod: &PodInfo) -> bool {
        self.selector.as_ref().is_some_and(|s| s.matches(&pod.meta.labels))
    }

    /// Whether a node's pods count for this constraint.
    pub(super) fn includes(&self, pod: &PodInfo, cluster: &Cluster, node: usize) -> bool {
        let nodes = &cluster.nodes;
        if self.honor_affinity && !node_affinity::matches(pod, nodes, node) {
            return false;
        }
        let refused =
            || taints::untolerated(pod, &nodes.taints[node], &["NoSchedule", "NoExecute"]).is_some();
        !self.honor_taints || !refused()
    }

    /// Matching pods of the pod's namespace per node; pods on their way out do not count.
    pub(super) fn counts(&self, pod: &PodInfo, cluster: &Cluster) -> HashMap<usize, i64> {
        let mut counts = HashMap::new();
        let Some(selector) = &self.selector else { return counts };
        for (labels, deleting, signature) in cluster.signatures.in_namespace(&pod.meta.namespace) {
            if !deleting && selector.matches(labels) {
                for (node, count) in &signature.nodes {
                    *counts.entry(*node).or_default() += i64::from(*count);
                }
            }
        }
        counts
    }
}

/// The constraints that forbid.
pub(super) fn hard(pod: &PodInfo) -> Vec<Constraint> {
    let hard = pod.spread.iter().filter(|c| c.when_unsatisfiable == "DoNotSchedule");
    hard.map(|c| Constraint::new(c, pod)).collect()
}

/// The constraints that only count, and whether a node has to have all their labels. A pod without any of its
/// own gets the system's: spread over hosts and zones like the Services and the ReplicaSet it belongs to.
pub(super) fn soft(pod: &PodInfo, cluster: &Cluster) -> (Vec<Constraint>, bool) {
    if !pod.spread.is_empty() {
        let soft = pod.spread.iter().filter(|c| c.when_unsatisfiable == "ScheduleAnyway");
        return (soft.map(|c| Constraint::new(c, pod)).collect(), true);
    }
    let Some(selector) = default_selector(pod, cluster) else { return (Vec::new(), false) };
    let system = |topology_key: &str, max_skew| Constraint {
        max_skew,
        topology_key: topology_key.to_owned(),
        min_domains: 1,
        selector: Some(selector.clone()),
        honor_affinity: true,
        honor_taints: false,
    };
    (vec![system(HOSTNAME, 3), system(ZONE, 5)], false)
}

fn default_selector(pod: &PodInfo, cluster: &Cluster) -> Option<LabelSelector> {
    let mut selector = LabelSelector::default();
    let services = cluster.services.get(&pod.meta.namespace).into_iter().flat_map(|all| all.values());
    for service in services {
        if !service.is_empty() && service.iter().all(|(k, v)| pod.meta.labels.get(k) == Some(v)) {
            selector.match_labels.extend(service.clone());
        }
    }
    if let Some(owner) = pod.meta.controller().and_then(|o| cluster.owners.get(&o.uid)) {
        let equal = owner.match_labels.iter().map(|(key, value)| Requirement {
            key: key.clone(),
            operator: "In".to_owned(),
            values: vec![value.clone()],
        });
        selector.match_expressions.extend(equal.chain(owner.match_expressions.iter().cloned()));
    }
    (!selector.is_empty()).then_some(selector)
}
