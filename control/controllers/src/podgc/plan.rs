//! Pods that nobody will ever remove.

use jiff::Timestamp;
use keelson_client::views::Pod;
use std::sync::Arc;
use std::time::Duration;

/// A node has to be gone for this long before its pods are.
pub(super) const QUARANTINE: Duration = Duration::from_secs(40);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Keep,
    Wait(Duration),
    /// Its node is gone: to be asked for once more before anything is deleted.
    NodeGone,
    /// It is being deleted and no agent has it.
    Unscheduled,
}

/// `node_missing_for`: how long the pod's node has not been there; `None` when it is.
pub(super) fn plan(pod: &Pod, node_missing_for: Option<Duration>) -> Plan {
    if pod.spec.node_name.is_empty() {
        return if pod.metadata.is_deleting() { Plan::Unscheduled } else { Plan::Keep };
    }
    match node_missing_for {
        None => Plan::Keep,
        Some(missing) if missing < QUARANTINE => Plan::Wait(QUARANTINE - missing),
        Some(_) => Plan::NodeGone,
    }
}

/// Of the pods that have ended those that are more than `max`: evicted ones first, then the oldest.
pub(super) fn surplus(mut pods: Vec<Arc<Pod>>, max: usize) -> Vec<Arc<Pod>> {
    pods.retain(|pod| pod.is_terminal());
    let surplus = pods.len().saturating_sub(max);
    if surplus > 0 {
        pods.sort_by(|a, b| rank(a).cmp(&rank(b)));
    }
    pods.truncate(surplus);
    pods
}

fn rank(pod: &Pod) -> (bool, Option<Timestamp>, &str, &str) {
    let meta = &pod.metadata;
    let evicted = pod.status.phase == "Failed" && pod.status.reason == "Evicted";
    (!evicted, meta.creation_timestamp, &meta.namespace, &meta.name)
}
