//! Which pods a ReplicaSet should have, and what its status is.

use super::rank::deletion_order;
use crate::claim::{Claim, claim};
use jiff::Timestamp;
use keelson_client::views::{Condition, Pod, ReplicaSet, ReplicaSetStatus, condition};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Pods created or deleted in one round; the next follows at once.
pub(super) const BURST: usize = 500;

/// What the views show.
pub(super) struct Observed<'a> {
    pub(super) set: &'a ReplicaSet,
    /// The pods that name the set as their controller, and the orphans of its namespace.
    pub(super) pods: Vec<Arc<Pod>>,
    /// The pods on nodes, for ranking: how many pods of the same owner a node has.
    pub(super) now: Timestamp,
    /// Uids of pods that were deleted and whose deletion the view does not show yet.
    pub(super) deleting: &'a HashSet<String>,
}

/// What to do, in this order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) adopt: Vec<Arc<Pod>>,
    pub(super) release: Vec<Arc<Pod>>,
    pub(super) create: usize,
    pub(super) delete: Vec<Arc<Pod>>,
    /// More remains to be done than one round does.
    pub(super) more: bool,
    /// The pods that are the set's and neither ended nor being deleted.
    pub(super) active: Vec<Arc<Pod>>,
    /// Its pods that are being deleted.
    pub(super) terminating: i64,
}

pub(super) fn plan(observed: Observed<'_>) -> Plan {
    let set = observed.set;
    let mut plan = Plan::default();
    for pod in observed.pods {
        match claim(&set.metadata, &set.spec.selector, &pod.metadata) {
            Claim::Other => continue,
            Claim::Release => {
                plan.release.push(pod);
                continue;
            }
            Claim::Adopt if pod.is_active() => plan.adopt.push(pod.clone()),
            Claim::Adopt => continue,
            Claim::Mine => {}
        }
        if pod.is_terminal() {
            continue;
        }
        if pod.metadata.is_deleting() || observed.deleting.contains(&pod.metadata.uid) {
            plan.terminating += 1;
        } else {
            plan.active.push(pod);
        }
    }
    if set.metadata.is_deleting() {
        return plan;
    }
    let wanted = usize::try_from(set.spec.replicas.unwrap_or(1)).unwrap_or(0);
    let have = plan.active.len();
    if have < wanted {
        plan.create = (wanted - have).min(BURST);
        plan.more = wanted - have > BURST;
    } else if have > wanted {
        let surplus = have - wanted;
        plan.more = surplus > BURST;
        plan.delete =
            deletion_order(&plan.active, observed.now).into_iter().take(surplus.min(BURST)).collect();
    }
    plan
}

/// The status of a set with these pods. `failure` is what went wrong in this round, as reason and message.
pub(super) fn status(
    set: &ReplicaSet,
    plan: &Plan,
    now: Timestamp,
    failure: Option<(&str, String)>,
) -> ReplicaSetStatus {
    let template_labels = set.spec.template.pointer("/metadata/labels").and_then(|l| l.as_object());
    let fully_labeled = |pod: &&Arc<Pod>| {
        template_labels.is_none_or(|labels| {
            labels.iter().all(|(k, v)| pod.metadata.label(k).is_some_and(|have| v.as_str() == Some(have)))
        })
    };
    let ready = |pod: &&Arc<Pod>| pod.is_ready();
    let min_ready = set.spec.min_ready_seconds;
    let available = |pod: &&Arc<Pod>| available_in(pod, min_ready, now) == Some(Duration::ZERO);
    ReplicaSetStatus {
        replicas: count(plan.active.len()),
        fully_labeled_replicas: count(plan.active.iter().filter(fully_labeled).count()),
        ready_replicas: count(plan.active.iter().filter(ready).count()),
        available_replicas: count(plan.active.iter().filter(available).count()),
        terminating_replicas: Some(plan.terminating),
        observed_generation: set.metadata.generation,
        conditions: conditions(&set.status.conditions, now, failure),
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// `ReplicaFailure` stays as it was first seen until a round succeeds.
fn conditions(old: &[Condition], now: Timestamp, failure: Option<(&str, String)>) -> Vec<Condition> {
    let mut conditions = old.to_vec();
    match failure {
        None => conditions.retain(|c| c.r#type != "ReplicaFailure"),
        Some((reason, message)) if condition(old, "ReplicaFailure").is_none() => conditions.push(Condition {
            r#type: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: Some(now),
            ..Condition::default()
        }),
        Some(_) => {}
    }
    conditions
}

/// How long until a pod counts as available if it stays ready; zero when it is; `None` when it is not ready.
pub(crate) fn available_in(pod: &Pod, min_ready_seconds: i64, now: Timestamp) -> Option<Duration> {
    let ready = pod.condition("Ready").filter(|c| c.status == "True")?;
    if min_ready_seconds <= 0 {
        return Some(Duration::ZERO);
    }
    let since = ready.last_transition_time?;
    let left = since.as_second() + min_ready_seconds - now.as_second();
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

/// When a ready pod becomes available next.
pub(super) fn next_available(set: &ReplicaSet, active: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
    let waits = active.iter().filter_map(|pod| available_in(pod, set.spec.min_ready_seconds, now));
    waits.filter(|wait| !wait.is_zero()).min()
}
