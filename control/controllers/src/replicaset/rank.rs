//! Which of several pods goes first when there are too many (KEP-2185, KEP-2255).

use jiff::Timestamp;
use keelson_client::views::Pod;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The pods with the first to go at the front.
pub(super) fn deletion_order(pods: &[Arc<Pod>], now: Timestamp) -> Vec<Arc<Pod>> {
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for pod in pods.iter().filter(|p| !p.spec.node_name.is_empty()) {
        *on_node.entry(&pod.spec.node_name).or_default() += 1;
    }
    let companions = |pod: &Pod| on_node.get(pod.spec.node_name.as_str()).copied().unwrap_or(0);
    let mut order = pods.to_vec();
    order.sort_by(|a, b| {
        before_crowding(a, b)
            .then_with(|| companions(b).cmp(&companions(a)))
            .then_with(|| after_crowding(a, b, now))
    });
    order
}

/// Not assigned, not running, not ready, cheap to delete: those go before the others.
fn before_crowding(a: &Pod, b: &Pod) -> Ordering {
    let phase = |pod: &Pod| match pod.status.phase.as_str() {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    };
    let cost =
        |pod: &Pod| pod.metadata.annotation(DELETION_COST).and_then(|c| c.parse::<i32>().ok()).unwrap_or(0);
    (!a.spec.node_name.is_empty())
        .cmp(&!b.spec.node_name.is_empty())
        .then_with(|| phase(a).cmp(&phase(b)))
        .then_with(|| a.is_ready().cmp(&b.is_ready()))
        .then_with(|| cost(a).cmp(&cost(b)))
}

/// Ready for less time, restarted more often, younger. Times count by their order of magnitude, so that pods
/// of about the same age are chosen by their uid, which is random.
fn after_crowding(a: &Pod, b: &Pod, now: Timestamp) -> Ordering {
    let ready_since = |pod: &Pod| pod.condition("Ready").and_then(|c| c.last_transition_time);
    let restarts =
        |pod: &Pod| pod.status.container_statuses.iter().map(|c| c.restart_count).max().unwrap_or(0);
    let ready = if a.is_ready() && b.is_ready() {
        by_age(ready_since(a), ready_since(b), now)
    } else {
        Ordering::Equal
    };
    ready
        .then_with(|| restarts(b).cmp(&restarts(a)))
        .then_with(|| by_age(a.metadata.creation_timestamp, b.metadata.creation_timestamp, now))
        .then_with(|| a.metadata.uid.cmp(&b.metadata.uid))
}

/// The younger one first; without a time is youngest.
fn by_age(a: Option<Timestamp>, b: Option<Timestamp>, now: Timestamp) -> Ordering {
    let magnitude = |time: Option<Timestamp>| {
        let seconds = time.map_or(0, |t| (now.as_second() - t.as_second()).max(0));
        u64::try_from(seconds).unwrap_or(0).checked_ilog2().map_or(0, |log| log + 1)
    };
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(_), Some(_)) => magnitude(a).cmp(&magnitude(b)),
    }
}
