//! PodTopologySpread: pods that belong together are spread over hosts, zones or other domains.

use super::SCORE_MAX;
use super::spread_counts::{Constraint, HOSTNAME, hard, soft};
use crate::bits::Bits;
use crate::cluster::Cluster;
use crate::pod::PodInfo;
use crate::reason::Reason;
use std::collections::{HashMap, HashSet};

/// What the filter needs to know about all nodes, found once per pod.
#[derive(Default)]
pub(crate) struct Prepared {
    constraints: Vec<Domains>,
}

struct Domains {
    constraint: Constraint,
    /// Matching pods per value of the topology key.
    counts: HashMap<String, i64>,
    min: i64,
    matches_itself: bool,
}

pub(crate) fn prepare(pod: &PodInfo, cluster: &Cluster) -> Prepared {
    let constraints = hard(pod);
    let keys: Vec<String> = constraints.iter().map(|c| c.topology_key.clone()).collect();
    let has_all = |node: usize| keys.iter().all(|k| cluster.nodes.labels[node].contains_key(k));
    let domains = constraints.into_iter().map(|constraint| {
        let pods = constraint.counts(pod, cluster);
        let mut counts: HashMap<String, i64> = HashMap::new();
        for node in cluster.nodes.real().iter() {
            if has_all(node) && constraint.includes(pod, cluster, node) {
                let value = &cluster.nodes.labels[node][&constraint.topology_key];
                *counts.entry(value.clone()).or_default() += pods.get(&node).copied().unwrap_or(0);
            }
        }
        let enough = i64::try_from(counts.len()).unwrap_or(i64::MAX) >= constraint.min_domains;
        let min = if enough { counts.values().copied().min().unwrap_or(0) } else { 0 };
        let matches_itself = constraint.matches_itself(pod);
        Domains { constraint, counts, min, matches_itself }
    });
    Prepared { constraints: domains.collect() }
}

pub(crate) fn filter(prepared: &Prepared, cluster: &Cluster, node: usize) -> Result<(), Reason> {
    for domains in &prepared.constraints {
        let labels = &cluster.nodes.labels[node];
        let Some(value) = labels.get(&domains.constraint.topology_key) else {
            return Err(Reason::SpreadLabelMissing);
        };
        let here = domains.counts.get(value).copied().unwrap_or(0) + i64::from(domains.matches_itself);
        if here - domains.min > domains.constraint.max_skew {
            return Err(Reason::Spread);
        }
    }
    Ok(())
}

/// Scores of the feasible nodes in their order; nothing when there is nothing to spread.
pub(crate) fn score(pod: &PodInfo, cluster: &Cluster, feasible: &Bits) -> Option<Vec<i64>> {
    let (constraints, require_all) = soft(pod, cluster);
    if constraints.is_empty() {
        return None;
    }
    let labels = &cluster.nodes.labels;
    let misses = |node: usize| constraints.iter().any(|c| !labels[node].contains_key(&c.topology_key));
    let ignored: HashSet<usize> = feasible.iter().filter(|n| require_all && misses(*n)).collect();
    let mut sums: Vec<f64> = feasible.iter().map(|_| 0.0).collect();
    for constraint in &constraints {
        add_scores(pod, cluster, constraint, (feasible, &ignored), require_all, &mut sums);
    }
    Some(spread(feasible, &ignored, &sums))
}

#[allow(clippy::cast_precision_loss)]
fn add_scores(
    pod: &PodInfo,
    cluster: &Cluster,
    constraint: &Constraint,
    (feasible, ignored): (&Bits, &HashSet<usize>),
    require_all: bool,
    sums: &mut [f64],
) {
    let key = &constraint.topology_key;
    let labels = &cluster.nodes.labels;
    let pods = constraint.counts(pod, cluster);
    let mut domains: HashMap<&str, i64> = HashMap::new();
    for node in feasible.iter().filter(|n| !ignored.contains(n)) {
        if let Some(value) = labels[node].get(key) {
            domains.entry(value).or_default();
        }
    }
    let size = if key == HOSTNAME { feasible.count() - ignored.len() } else { domains.len() };
    // Pods on nodes that are not feasible count too, where their domain has a feasible node.
    for node in cluster.nodes.real().iter() {
        let counted = labels[node].get(key).and_then(|value| domains.get_mut(value.as_str()));
        if let Some(count) = counted
            && constraint.includes(pod, cluster, node)
            && (!require_all || !ignored.contains(&node))
        {
            *count += pods.get(&node).copied().unwrap_or(0);
        }
    }
    let weight = (size as f64 + 2.0).ln();
    for (sum, node) in sums.iter_mut().zip(feasible.iter()) {
        let Some(value) = labels[node].get(key) else { continue };
        let count = if key == HOSTNAME {
            pods.get(&node).copied().unwrap_or(0)
        } else {
            domains.get(value.as_str()).copied().unwrap_or(0)
        };
        *sum += count as f64 * weight + (constraint.max_skew - 1) as f64;
    }
}

/// Few pods become many points; ignored nodes get none.
#[allow(clippy::cast_possible_truncation)]
fn spread(feasible: &Bits, ignored: &HashSet<usize>, sums: &[f64]) -> Vec<i64> {
    let rounded: Vec<i64> = sums.iter().map(|s| s.round() as i64).collect();
    let counted =
        || feasible.iter().zip(&rounded).filter(|(node, _)| !ignored.contains(node)).map(|(_, s)| *s);
    let (min, max) = (counted().min().unwrap_or(0), counted().max().unwrap_or(0));
    let points = |(node, score): (usize, &i64)| {
        if ignored.contains(&node) {
            0
        } else if max == 0 {
            SCORE_MAX
        } else {
            SCORE_MAX * (max + min - score) / max
        }
    };
    feasible.iter().zip(&rounded).map(points).collect()
}
