//! When a node counts as lost, and which taints its conditions give it.

use jiff::Timestamp;
use keelson_client::views::{Condition, Node, Taint, condition};
use std::time::Duration;

pub(super) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(super) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const NO_SCHEDULE: &str = "NoSchedule";
const NO_EXECUTE: &str = "NoExecute";

/// Conditions that an agent posts and that become unknown without it.
const POSTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// Conditions that keep new pods away, with the status that does, and their taints.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// How often a lost node is looked at while nothing is heard of any other.
const SILENT_RETRY: Duration = Duration::from_secs(10);

/// What was last heard of a node, by the own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// The lease's renew time and the node's heartbeat as they were written; only their change counts.
    pub(super) marks: (Option<Timestamp>, Option<Timestamp>),
    pub(super) at: Duration,
}

/// What was heard, after looking at a node and its lease's renew time.
pub(super) fn listen(old: Option<&Heard>, node: &Node, renewed: Option<Timestamp>, now: Duration) -> Heard {
    let beat = node.condition("Ready").and_then(|c| c.last_heartbeat_time);
    let marks = (renewed, beat);
    match old {
        Some(old) if old.marks == marks => old.clone(),
        _ => Heard { marks, at: now },
    }
}

/// The times after which silence means loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Graces {
    pub(super) known: Duration,
    /// For a node that never posted a status.
    pub(super) startup: Duration,
}

#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// The node's conditions when some of them have to become unknown.
    pub(super) conditions: Option<Vec<Condition>>,
    /// The node's taints when they change.
    pub(super) taints: Option<Vec<Taint>>,
    /// The node is lost: its pods must not be used. An agent that is there judges its pods itself.
    pub(super) pods_not_ready: bool,
    /// When silence will mean loss.
    pub(super) again: Option<Duration>,
}

/// `all_silent`: nothing is heard of any node. Then the fault is more likely here, and no pod is evicted.
pub(super) fn plan(node: &Node, heard: &Heard, graces: Graces, all_silent: bool, clocks: Clocks) -> Plan {
    let posted = node.condition("Ready").is_some();
    let grace = if posted { graces.known } else { graces.startup };
    let due = heard.at + grace;
    let lost = clocks.own >= due;
    let conditions = lost.then(|| unknown(node, clocks.wall)).flatten();
    let current = conditions.as_deref().unwrap_or(&node.status.conditions);
    let wanted = taints(node, current, lost && all_silent, clocks.wall);
    Plan {
        pods_not_ready: lost,
        taints: (wanted != node.spec.taints).then_some(wanted),
        conditions,
        again: match lost {
            false => Some(due - clocks.own),
            true => all_silent.then_some(SILENT_RETRY),
        },
    }
}

/// The time since the start of the controller, and the calendar's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) own: Duration,
    pub(super) wall: Timestamp,
}

/// The conditions of a node that nothing is heard of; `None` when they say so already.
fn unknown(node: &Node, now: Timestamp) -> Option<Vec<Condition>> {
    let mut conditions = node.status.conditions.clone();
    let mut changed = false;
    for name in POSTED {
        let (reason, message) = ("NodeStatusUnknown", "Kubelet stopped posting node status.");
        match conditions.iter_mut().find(|c| c.r#type == name) {
            Some(c) if c.status == "Unknown" => {}
            Some(c) => {
                c.status = "Unknown".to_owned();
                c.reason = reason.to_owned();
                c.message = message.to_owned();
                c.last_transition_time = Some(now);
                changed = true;
            }
            None => {
                conditions.push(Condition {
                    r#type: name.to_owned(),
                    status: "Unknown".to_owned(),
                    reason: "NodeStatusNeverUpdated".to_owned(),
                    message: "Kubelet never posted node status.".to_owned(),
                    last_heartbeat_time: node.metadata.creation_timestamp,
                    last_transition_time: Some(now),
                    ..Condition::default()
                });
                changed = true;
            }
        }
    }
    changed.then_some(conditions)
}

/// The taints of a node: other people's stay, ours follow the conditions.
fn taints(node: &Node, conditions: &[Condition], spare: bool, now: Timestamp) -> Vec<Taint> {
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    match condition(conditions, "Ready").map(|c| c.status.as_str()) {
        Some("False") => wanted.extend([(NOT_READY, NO_SCHEDULE), (NOT_READY, NO_EXECUTE)]),
        Some("Unknown") => {
            wanted.push((UNREACHABLE, NO_SCHEDULE));
            if !spare {
                wanted.push((UNREACHABLE, NO_EXECUTE));
            }
        }
        _ => {}
    }
    for (name, key) in PRESSURES {
        if condition(conditions, name).is_some_and(|c| c.status == "True") {
            wanted.push((key, NO_SCHEDULE));
        }
    }
    if node.spec.unschedulable {
        wanted.push((UNSCHEDULABLE, NO_SCHEDULE));
    }
    let has = |taint: &Taint, (key, effect): &(&str, &str)| taint.key == *key && taint.effect == *effect;
    // Before the agent has said anything, the taint that registration put on the node stands.
    let judged = condition(conditions, "Ready").is_some();
    let mut taints: Vec<Taint> = node.spec.taints.clone();
    taints.retain(|t| !(is_ours(t) && (judged || t.key != NOT_READY)) || wanted.iter().any(|w| has(t, w)));
    for (key, effect) in wanted {
        if !taints.iter().any(|t| has(t, &(key, effect))) {
            let time_added = Some(now);
            taints.push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                time_added,
                ..Taint::default()
            });
        }
    }
    taints
}

fn is_ours(taint: &Taint) -> bool {
    let by_condition = PRESSURES.iter().any(|(_, key)| *key == taint.key);
    match taint.effect.as_str() {
        NO_SCHEDULE => by_condition || [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&taint.key.as_str()),
        NO_EXECUTE => [NOT_READY, UNREACHABLE].contains(&taint.key.as_str()),
        _ => false,
    }
}
