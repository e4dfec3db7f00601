//! NodeName and NodeAffinity: the pod's node selector and its required and preferred node affinity.

use crate::cluster::Nodes;
use crate::pod::PodInfo;
use crate::reason::Reason;
use keelson_client::views::NodeSelectorTerm;

pub(crate) fn filter_name(pod: &PodInfo, nodes: &Nodes, node: usize) -> Result<(), Reason> {
    if pod.node.is_empty() || pod.node == nodes.name[node] { Ok(()) } else { Err(Reason::OtherNodeName) }
}

/// Whether selector and required affinity allow the node.
pub(crate) fn matches(pod: &PodInfo, nodes: &Nodes, node: usize) -> bool {
    let labels = &nodes.labels[node];
    if !pod.node_selector.iter().all(|(k, v)| labels.get(k) == Some(v)) {
        return false;
    }
    let affinity = pod.node_affinity.as_ref();
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|required| {
        required.node_selector_terms.iter().any(|term| matches_term(term, nodes, node))
    })
}

pub(crate) fn filter(pod: &PodInfo, nodes: &Nodes, node: usize) -> Result<(), Reason> {
    if matches(pod, nodes, node) { Ok(()) } else { Err(Reason::NodeAffinity) }
}

pub(crate) fn score(pod: &PodInfo, nodes: &Nodes, node: usize) -> i64 {
    let preferred = pod.preferred_nodes().iter().filter(|p| p.weight != 0);
    // An empty preference is met by every node, unlike an empty requirement.
    let met = preferred.filter(|p| is_empty(&p.preference) || matches_term(&p.preference, nodes, node));
    met.map(|p| p.weight).sum()
}

fn is_empty(term: &NodeSelectorTerm) -> bool {
    term.match_expressions.is_empty() && term.match_fields.is_empty()
}

fn matches_term(term: &NodeSelectorTerm, nodes: &Nodes, node: usize) -> bool {
    if is_empty(term) {
        return false;
    }
    term.match_expressions.iter().all(|e| e.matches(&nodes.labels[node]))
        && term
            .match_fields
            .iter()
            .all(|field| field.key == "metadata.name" && field.matches_value(Some(nodes.name[node].as_str())))
}
