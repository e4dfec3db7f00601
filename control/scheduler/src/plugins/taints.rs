//! NodeUnschedulable and TaintToleration.

use crate::cluster::Nodes;
use crate::pod::PodInfo;
use crate::reason::Reason;
use keelson_client::views::{Taint, Toleration};

const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    if !toleration.effect.is_empty() && toleration.effect != taint.effect {
        return false;
    }
    if !toleration.key.is_empty() && toleration.key != taint.key {
        return false;
    }
    match toleration.operator.as_str() {
        "" | "Equal" => toleration.value == taint.value && !toleration.key.is_empty(),
        "Exists" => true,
        "Gt" | "Lt" => compare(toleration, taint),
        _ => false,
    }
}

/// Numeric tolerations: the taint's value has to be above or below the toleration's.
fn compare(toleration: &Toleration, taint: &Taint) -> bool {
    let (Ok(have), Ok(bound)) = (taint.value.parse::<i64>(), toleration.value.parse::<i64>()) else {
        return false;
    };
    if toleration.operator == "Gt" { have > bound } else { have < bound }
}

pub(crate) fn untolerated<'a>(pod: &PodInfo, taints: &'a [Taint], effects: &[&str]) -> Option<&'a Taint> {
    let matters = |taint: &&Taint| effects.contains(&taint.effect.as_str());
    taints.iter().filter(matters).find(|taint| !pod.tolerations.iter().any(|t| tolerates(t, taint)))
}

pub(crate) fn filter_unschedulable(pod: &PodInfo, nodes: &Nodes, node: usize) -> Result<(), Reason> {
    if !nodes.unschedulable[node] {
        return Ok(());
    }
    let taint = Taint { key: UNSCHEDULABLE.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    if pod.tolerations.iter().any(|t| tolerates(t, &taint)) { Ok(()) } else { Err(Reason::Unschedulable) }
}

pub(crate) fn filter(pod: &PodInfo, nodes: &Nodes, node: usize) -> Result<(), Reason> {
    match untolerated(pod, &nodes.taints[node], &["NoSchedule", "NoExecute"]) {
        Some(_) => Err(Reason::Taint),
        None => Ok(()),
    }
}

/// Taints that merely ask to stay away, not tolerated: the fewer the better.
pub(crate) fn score(pod: &PodInfo, nodes: &Nodes, node: usize) -> i64 {
    let soft = nodes.taints[node].iter().filter(|t| t.effect == "PreferNoSchedule");
    let ignored = |taint: &&Taint| {
        let applies = |t: &&Toleration| t.effect.is_empty() || t.effect == "PreferNoSchedule";
        pod.tolerations.iter().filter(applies).any(|t| tolerates(t, taint))
    };
    soft.filter(|taint| !ignored(taint)).map(|_| 1).sum()
}
