//! NodeResourcesFit: requests fit into what is left; emptier nodes score higher (LeastAllocated).

use super::SCORE_MAX;
use crate::cluster::Nodes;
use crate::pod::PodInfo;
use crate::reason::Reason;
use crate::resources::{CPU, MEMORY, STORAGE};

/// Every resource that is short, so that the message names them all.
pub(crate) fn filter(pod: &PodInfo, nodes: &Nodes, node: usize, reasons: &mut Vec<Reason>) {
    let asked = &pod.requests;
    if nodes.pods_used[node] + 1 > nodes.pods_total[node] {
        reasons.push(Reason::TooManyPods);
    }
    let mut short = |name: &str, asked: i64, total: i64, used: i64| {
        if asked > 0 && asked > total - used {
            reasons.push(Reason::Insufficient(name.to_owned()));
        }
    };
    short(CPU, asked.cpu, nodes.cpu_total[node], nodes.cpu_used[node]);
    short(MEMORY, asked.memory, nodes.memory_total[node], nodes.memory_used[node]);
    short(STORAGE, asked.storage, nodes.storage_total[node], nodes.storage_used[node]);
    for (name, amount) in &asked.extended {
        let total = nodes.extended_total[node].get(name).copied().unwrap_or(0);
        let used = nodes.extended_used[node].get(name).copied().unwrap_or(0);
        short(name, *amount, total, used);
    }
}

/// The free part of CPU and memory after the pod, each with weight one.
pub(crate) fn score(pod: &PodInfo, nodes: &Nodes, node: usize) -> i64 {
    let cpu = least(nodes.cpu_assumed[node] + pod.assumed.0, nodes.cpu_total[node]);
    let memory = least(nodes.memory_assumed[node] + pod.assumed.1, nodes.memory_total[node]);
    match (cpu, memory) {
        (None, None) => 0,
        (Some(one), None) | (None, Some(one)) => one,
        (Some(cpu), Some(memory)) => (cpu + memory) / 2,
    }
}

/// `None` for a resource that the node does not have.
fn least(requested: i64, total: i64) -> Option<i64> {
    match total {
        0 => None,
        _ if requested > total => Some(0),
        _ => i64::try_from(i128::from(total - requested) * i128::from(SCORE_MAX) / i128::from(total)).ok(),
    }
}
