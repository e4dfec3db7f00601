//! One choice: which node takes a pod, or why none does.

use crate::bits::Bits;
use crate::cluster::Cluster;
use crate::plugins::{
    balanced, image_locality, inter_pod_affinity, node_affinity, node_ports, normalize, resources_fit,
    taints, topology_spread,
};
use crate::pod::PodInfo;
use crate::reason::{Misfit, Reason};

/// Weights of the default profile.
const TAINT_TOLERATION: i64 = 3;
const NODE_AFFINITY: i64 = 2;
const TOPOLOGY_SPREAD: i64 = 2;
const INTER_POD_AFFINITY: i64 = 2;
const RESOURCES_FIT: i64 = 1;
const BALANCED_ALLOCATION: i64 = 1;
const IMAGE_LOCALITY: i64 = 1;

/// The name of the node for a pod; `random` decides among equals.
pub(crate) fn schedule(pod: &PodInfo, cluster: &Cluster, random: u64) -> Result<String, Misfit> {
    let feasible = feasible(pod, cluster, random)?;
    let name = |index: usize| cluster.nodes.name[index].clone();
    let mut only = feasible.iter();
    if let (Some(one), None) = (only.next(), only.next()) {
        return Ok(name(one));
    }
    let scores = scores(pod, cluster, &feasible);
    let best = scores.iter().copied().max().unwrap_or(0);
    let equals: Vec<usize> =
        feasible.iter().zip(&scores).filter(|(_, s)| **s == best).map(|(node, _)| node).collect();
    let pick = usize::try_from(random % (equals.len().max(1) as u64)).unwrap_or(0);
    equals.get(pick).map(|node| name(*node)).ok_or_else(Misfit::default)
}

/// How many feasible nodes are enough to choose from: in large clusters a part of them, as upstream has it.
fn enough(nodes: usize) -> usize {
    let percent = 50_usize.saturating_sub(nodes / 125).max(5);
    if nodes <= 100 { nodes } else { (nodes * percent / 100).max(100) }
}

/// Nodes that pass every filter: all of them, or enough of them from a random one on.
fn feasible(pod: &PodInfo, cluster: &Cluster, random: u64) -> Result<Bits, Misfit> {
    let nodes = &cluster.nodes;
    let spread = topology_spread::prepare(pod, cluster);
    let affinity = inter_pod_affinity::prepare(pod, cluster);
    let mut misfit = Misfit { nodes: nodes.real().count(), ..Misfit::default() };
    let mut feasible = Bits::default();
    let (mut short, mut found) = (Vec::new(), 0);
    let enough = enough(misfit.nodes);
    let first = usize::try_from(random).unwrap_or(0).checked_rem(misfit.nodes).unwrap_or(0);
    for node in nodes.real().iter().skip(first).chain(nodes.real().iter().take(first)) {
        if found == enough {
            break;
        }
        let before = taints::filter_unschedulable(pod, nodes, node)
            .and_then(|()| node_affinity::filter_name(pod, nodes, node))
            .and_then(|()| taints::filter(pod, nodes, node))
            .and_then(|()| node_affinity::filter(pod, nodes, node))
            .and_then(|()| node_ports::filter(pod, nodes, node));
        let result = before.and_then(|()| {
            resources_fit::filter(pod, nodes, node, &mut short);
            if !short.is_empty() {
                return Ok(());
            }
            topology_spread::filter(&spread, cluster, node)?;
            inter_pod_affinity::filter(&affinity, pod, cluster, node)
        });
        match result {
            Err(reason) => misfit.add(reason),
            Ok(()) if short.is_empty() => {
                feasible.insert(node);
                found += 1;
            }
            Ok(()) => short.drain(..).for_each(|reason: Reason| misfit.add(reason)),
        }
    }
    if feasible.is_empty() { Err(misfit) } else { Ok(feasible) }
}

/// The weighted sums of all scores, for the feasible nodes in their order.
fn scores(pod: &PodInfo, cluster: &Cluster, feasible: &Bits) -> Vec<i64> {
    let nodes = &cluster.nodes;
    let each = |score: &dyn Fn(usize) -> i64| feasible.iter().map(score).collect::<Vec<i64>>();
    let mut total = each(&|node| RESOURCES_FIT * resources_fit::score(pod, nodes, node));
    let mut add = |scores: Vec<i64>, weight: i64| {
        total.iter_mut().zip(scores).for_each(|(sum, score)| *sum += weight * score);
    };
    let mut disliked = each(&|node| taints::score(pod, nodes, node));
    normalize(&mut disliked, true);
    add(disliked, TAINT_TOLERATION);
    if !pod.preferred_nodes().is_empty() {
        let mut preferred = each(&|node| node_affinity::score(pod, nodes, node));
        normalize(&mut preferred, false);
        add(preferred, NODE_AFFINITY);
    }
    if balanced::applies(pod) {
        add(each(&|node| balanced::score(pod, nodes, node)), BALANCED_ALLOCATION);
    }
    add(each(&|node| image_locality::score(pod, nodes, node)), IMAGE_LOCALITY);
    if let Some(spread) = topology_spread::score(pod, cluster, feasible) {
        add(spread, TOPOLOGY_SPREAD);
    }
    if let Some(affinity) = inter_pod_affinity::score(pod, cluster, feasible) {
        add(affinity, INTER_POD_AFFINITY);
    }
    total
}
