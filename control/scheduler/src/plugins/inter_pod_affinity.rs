//! InterPodAffinity: pods that want to be near others or far from them, and others that want the same of them.

use super::SCORE_MAX;
use crate::bits::Bits;
use crate::cluster::Cluster;
use crate::pod::PodInfo;
use crate::reason::Reason;
use crate::selector::Term;
use std::collections::HashMap;

/// The weight of an existing pod's required affinity when nodes are compared.
const HARD_AFFINITY_WEIGHT: i64 = 1;

/// Numbers per topology key and value.
type Pairs = HashMap<(String, String), i64>;

/// What the filter needs to know about all nodes, found once per pod.
#[derive(Default)]
pub(crate) struct Prepared {
    /// Where existing pods forbid this one.
    forbidden: Pairs,
    /// Where pods are that match all of this pod's terms of affinity.
    near: Pairs,
    /// Where pods are that this pod wants to be far from.
    far: Pairs,
    /// The pod matches its own terms: the first of a group may start anywhere.
    matches_itself: bool,
}

pub(crate) fn prepare(pod: &PodInfo, cluster: &Cluster) -> Prepared {
    let nodes = &cluster.nodes;
    let mut prepared = Prepared::default();
    for node in nodes.with_terms.iter().filter(|n| nodes.is_real(*n)) {
        for existing in nodes.terms[node].values() {
            for term in &existing.anti_affinity {
                if matches(term, pod, cluster) {
                    count(&mut prepared.forbidden, cluster, node, term, 1);
                }
            }
        }
    }
    if pod.affinity.is_empty() && pod.anti_affinity.is_empty() {
        return prepared;
    }
    for (namespace, labels, signature) in cluster.signatures.all() {
        let hits = |term: &Term| term.matches(namespace, labels, &cluster.namespaces);
        let all_near = !pod.affinity.is_empty() && pod.affinity.iter().all(hits);
        let far: Vec<&Term> = pod.anti_affinity.iter().filter(|t| hits(t)).collect();
        if !all_near && far.is_empty() {
            continue;
        }
        for (node, number) in signature.nodes.iter().filter(|(n, _)| nodes.is_real(**n)) {
            if all_near {
                let near = &mut prepared.near;
                pod.affinity.iter().for_each(|t| count(near, cluster, *node, t, i64::from(*number)));
            }
            far.iter().for_each(|t| count(&mut prepared.far, cluster, *node, t, i64::from(*number)));
        }
    }
    prepared.matches_itself =
        pod.affinity.iter().all(|t| t.matches(&pod.meta.namespace, &pod.meta.labels, &cluster.namespaces));
    prepared
}

fn matches(term: &Term, pod: &PodInfo, cluster: &Cluster) -> bool {
    term.matches(&pod.meta.namespace, &pod.meta.labels, &cluster.namespaces)
}

fn count(pairs: &mut Pairs, cluster: &Cluster, node: usize, term: &Term, by: i64) {
    if let Some(value) = cluster.nodes.labels[node].get(&term.topology_key) {
        *pairs.entry((term.topology_key.clone(), value.clone())).or_default() += by;
    }
}

/// The number noted for a node's domain of a key; `None` when the node has no such label.
fn at(pairs: &Pairs, cluster: &Cluster, node: usize, key: &str) -> Option<i64> {
    let value = cluster.nodes.labels[node].get(key)?;
    Some(pairs.get(&(key.to_owned(), value.clone())).copied().unwrap_or(0))
}

pub(crate) fn filter(
    prepared: &Prepared,
    pod: &PodInfo,
    cluster: &Cluster,
    node: usize,
) -> Result<(), Reason> {
    if !affinity_holds(prepared, pod, cluster, node) {
        return Err(Reason::Affinity);
    }
    let clash = |t: &Term| at(&prepared.far, cluster, node, &t.topology_key).is_some_and(|n| n > 0);
    if pod.anti_affinity.iter().any(clash) {
        return Err(Reason::AntiAffinity);
    }
    let labels = &cluster.nodes.labels[node];
    let forbidden = |((key, value), _): (&(String, String), &i64)| labels.get(key) == Some(value);
    if prepared.forbidden.iter().any(forbidden) {
        return Err(Reason::ExistingAntiAffinity);
    }
    Ok(())
}

fn affinity_holds(prepared: &Prepared, pod: &PodInfo, cluster: &Cluster, node: usize) -> bool {
    let mut holds = true;
    for term in &pod.affinity {
        match at(&prepared.near, cluster, node, &term.topology_key) {
            None => return false,
            Some(0) => holds = false,
            Some(_) => {}
        }
    }
    holds || (prepared.near.is_empty() && prepared.matches_itself)
}

/// Scores of the feasible nodes in their order; nothing when no pod prefers anything.
pub(crate) fn score(pod: &PodInfo, cluster: &Cluster, feasible: &Bits) -> Option<Vec<i64>> {
    let nodes = &cluster.nodes;
    let mut weights = Pairs::new();
    if !pod.preferred.is_empty() {
        for (namespace, labels, signature) in cluster.signatures.all() {
            for (term, weight) in &pod.preferred {
                if term.matches(namespace, labels, &cluster.namespaces) {
                    for (node, number) in signature.nodes.iter().filter(|(n, _)| nodes.is_real(**n)) {
                        count(&mut weights, cluster, *node, term, weight * i64::from(*number));
                    }
                }
            }
        }
    }
    for node in nodes.with_terms.iter().filter(|n| nodes.is_real(*n)) {
        for existing in nodes.terms[node].values() {
            let hard = existing.affinity.iter().map(|term| (term, HARD_AFFINITY_WEIGHT));
            let soft = existing.preferred.iter().map(|(term, weight)| (term, *weight));
            for (term, weight) in hard.chain(soft) {
                if matches(term, pod, cluster) {
                    count(&mut weights, cluster, node, term, weight);
                }
            }
        }
    }
    if weights.is_empty() {
        return None;
    }
    let sum = |node: usize| -> i64 {
        let labels = &nodes.labels[node];
        weights.iter().filter(|((key, value), _)| labels.get(key) == Some(value)).map(|(_, w)| *w).sum()
    };
    let sums: Vec<i64> = feasible.iter().map(sum).collect();
    let (min, max) = (sums.iter().copied().min()?, sums.iter().copied().max()?);
    let points = |sum: i64| if max > min { SCORE_MAX * (sum - min) / (max - min) } else { 0 };
    Some(sums.into_iter().map(points).collect())
}
