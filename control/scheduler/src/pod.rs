//! A pod as the scheduler sees it: parsed once, shared by queue, cluster and cycle.

use crate::resources::{Amounts, assumed_requests, requests};
use crate::selector::Term;
use keelson_client::views::{
    NodeAffinity, Pod, PodAffinity, PodAffinityTerm, PreferredSchedulingTerm, Toleration,
    TopologySpreadConstraint,
};
use keelson_client::{Key, Meta};
use std::collections::BTreeMap;

/// A host port: address, protocol, number. The empty address stands for all.
pub(crate) type HostPort = (String, String, u16);

#[derive(Clone, Debug)]
pub(crate) struct PodInfo {
    pub(crate) meta: Meta,
    /// The node it runs on or is assumed to; empty while it waits.
    pub(crate) node: String,
    pub(crate) priority: i32,
    pub(crate) requests: Amounts,
    /// CPU (milli) and memory (bytes) for comparing nodes.
    pub(crate) assumed: (i64, i64),
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) node_affinity: Option<NodeAffinity>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) spread: Vec<TopologySpreadConstraint>,
    pub(crate) affinity: Vec<Term>,
    pub(crate) anti_affinity: Vec<Term>,
    /// Preferences with their weights; those of anti-affinity are negative.
    pub(crate) preferred: Vec<(Term, i64)>,
    pub(crate) images: Vec<String>,
    pub(crate) gated: bool,
}

impl PodInfo {
    pub(crate) fn new(pod: &Pod) -> Self {
        let (meta, spec) = (&pod.metadata, &pod.spec);
        let affinity = spec.affinity.as_deref();
        let term = |t: &PodAffinityTerm| Term::new(t, &meta.namespace, &meta.labels);
        let required = |a: Option<&PodAffinity>| -> Vec<Term> {
            a.map(|a| &a.required_during_scheduling_ignored_during_execution)
                .into_iter()
                .flatten()
                .map(term)
                .collect()
        };
        let preferred = |a: Option<&PodAffinity>, sign: i64| -> Vec<(Term, i64)> {
            a.map(|a| &a.preferred_during_scheduling_ignored_during_execution)
                .into_iter()
                .flatten()
                .map(|weighted| (term(&weighted.pod_affinity_term), sign * weighted.weight))
                .collect()
        };
        let near = affinity.and_then(|a| a.pod_affinity.as_ref());
        let far = affinity.and_then(|a| a.pod_anti_affinity.as_ref());
        let containers = spec.containers.iter().chain(&spec.init_containers);
        Self {
            node: spec.node_name.clone(),
            priority: spec.priority.unwrap_or(0),
            requests: requests(spec),
            assumed: assumed_requests(spec),
            node_selector: spec.node_selector.clone(),
            node_affinity: affinity.and_then(|a| a.node_affinity.clone()),
            tolerations: spec.tolerations.clone(),
            ports: host_ports(pod),
            spread: spec.topology_spread_constraints.clone(),
            affinity: required(near),
            anti_affinity: required(far),
            preferred: preferred(near, 1).into_iter().chain(preferred(far, -1)).collect(),
            images: containers.map(|c| c.image.clone()).collect(),
            gated: !spec.scheduling_gates.is_empty(),
            meta: meta.clone(),
        }
    }

    /// The same pod on a node.
    pub(crate) fn on(&self, node: &str) -> Self {
        Self { node: node.to_owned(), ..self.clone() }
    }

    pub(crate) fn key(&self) -> Key {
        self.meta.key()
    }

    pub(crate) fn has_terms(&self) -> bool {
        !self.affinity.is_empty() || !self.anti_affinity.is_empty() || !self.preferred.is_empty()
    }

    /// The preferred terms of node affinity.
    pub(crate) fn preferred_nodes(&self) -> &[PreferredSchedulingTerm] {
        self.node_affinity.as_ref().map_or(&[], |a| &a.preferred_during_scheduling_ignored_during_execution)
    }
}

fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let ports =
        pod.spec.containers.iter().chain(sidecars).flat_map(|c| &c.ports).filter(|p| p.host_port != 0);
    ports
        .map(|port| {
            let ip = if port.host_ip == "0.0.0.0" { "" } else { port.host_ip.as_str() };
            let protocol = if port.protocol.is_empty() { "TCP" } else { port.protocol.as_str() };
            (ip.to_owned(), protocol.to_owned(), port.host_port)
        })
        .collect()
}
