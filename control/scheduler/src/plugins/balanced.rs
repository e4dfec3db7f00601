//! NodeResourcesBalancedAllocation: CPU and memory are used to a like extent.

use super::SCORE_MAX;
use crate::cluster::Nodes;
use crate::pod::PodInfo;

/// Pods that ask for nothing do not unbalance anything.
pub(crate) fn applies(pod: &PodInfo) -> bool {
    pod.requests.cpu > 0 || pod.requests.memory > 0
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub(crate) fn score(pod: &PodInfo, nodes: &Nodes, node: usize) -> i64 {
    let fraction = |used: i64, total: i64| (total > 0).then(|| (used as f64 / total as f64).min(1.0));
    let cpu = fraction(nodes.cpu_used[node] + pod.requests.cpu, nodes.cpu_total[node]);
    let memory = fraction(nodes.memory_used[node] + pod.requests.memory, nodes.memory_total[node]);
    let deviation = match (cpu, memory) {
        (Some(cpu), Some(memory)) => ((cpu - memory) / 2.0).abs(),
        _ => 0.0,
    };
    ((1.0 - deviation) * SCORE_MAX as f64) as i64
}
