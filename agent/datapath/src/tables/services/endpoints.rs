//! Which endpoints of a Service an entry may use: kube-proxy's rules, as its documentation and its tests have them.
//!
//! Endpoints that are ready count; only where none is, those that are on their way out and still serve. Hints of
//! zones and nodes narrow the choice in the cluster, never the choice on this node.

use super::OwnNode;
use keelson_client::views::{Endpoint, EndpointSlice, ServicePort as PortView};
use keelson_ebpf_abi::{Address, Backend, Be16};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One endpoint behind a port.
struct Candidate<'a> {
    backend: Backend,
    endpoint: &'a Endpoint,
    local: bool,
}

/// What the two traffic policies allow.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// For the policy Cluster.
    pub cluster: Vec<Backend>,
    /// For the policy Local.
    pub local: Vec<Backend>,
}

/// Chooses among the endpoints of one port in one family.
pub fn choose(port: &PortView, is_v4: bool, slices: &[&EndpointSlice], node: &OwnNode) -> Choice {
    let all = candidates(port, is_v4, slices, node);
    let topology = topology(&all, node);
    let cluster = select(&all, |c| is_ready(c) && topology.takes(c.endpoint, node));
    let local = select(&all, |c| is_ready(c) && c.local);
    Choice {
        cluster: or_else(cluster, || select(&all, is_leaving)),
        local: or_else(local, || select(&all, |c| is_leaving(c) && c.local)),
    }
}

/// Distinct addresses of this node's ready endpoints, which is what a load balancer asks for.
pub fn local_ready(slices: &[&EndpointSlice], node: &OwnNode) -> usize {
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    let ready = endpoints.filter(|e| e.conditions.is_ready() && is_local(e, node));
    ready.filter_map(|e| e.addresses.first()).collect::<BTreeSet<_>>().len()
}

fn candidates<'a>(
    port: &PortView,
    is_v4: bool,
    slices: &[&'a EndpointSlice],
    node: &OwnNode,
) -> Vec<Candidate<'a>> {
    let family = if is_v4 { "IPv4" } else { "IPv6" };
    let mut found = Vec::new();
    for slice in slices.iter().filter(|slice| slice.address_type == family) {
        let same = slice.ports.iter().find(|p| p.name == port.name && p.protocol == port.protocol);
        let Some(number) = same.and_then(|port| port.port) else { continue };
        for endpoint in &slice.endpoints {
            // The API: consumers take the first address, the others are of no defined meaning.
            let first = endpoint.addresses.first().and_then(|text| text.parse::<IpAddr>().ok());
            if let Some(ip) = first {
                let backend =
                    Backend { address: Address::from(ip), port: Be16::new(number), ..Backend::default() };
                found.push(Candidate { backend, endpoint, local: is_local(endpoint, node) });
            }
        }
    }
    found
}

fn is_local(endpoint: &Endpoint, node: &OwnNode) -> bool {
    endpoint.node_name.as_deref() == Some(&node.name)
}

fn is_ready(candidate: &Candidate<'_>) -> bool {
    candidate.endpoint.conditions.is_ready()
}

fn is_leaving(candidate: &Candidate<'_>) -> bool {
    let conditions = &candidate.endpoint.conditions;
    conditions.is_serving() && conditions.is_terminating()
}

fn select(all: &[Candidate<'_>], wanted: impl Fn(&Candidate<'_>) -> bool) -> Vec<Backend> {
    let chosen: BTreeSet<Backend> = all.iter().filter(|c| wanted(c)).map(|c| c.backend).collect();
    chosen.into_iter().collect()
}

fn or_else(chosen: Vec<Backend>, other: impl FnOnce() -> Vec<Backend>) -> Vec<Backend> {
    if chosen.is_empty() { other() } else { chosen }
}

/// How hints narrow the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topology {
    Anywhere,
    Zone,
    Node,
}

impl Topology {
    fn takes(self, endpoint: &Endpoint, node: &OwnNode) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Zone => for_zone(endpoint, node) == Some(true),
            Self::Node => endpoint.hints_node(&node.name) == Some(true),
        }
    }
}

fn for_zone(endpoint: &Endpoint, node: &OwnNode) -> Option<bool> {
    // A node without a zone is in no endpoint's zone, but the hints are there.
    endpoint.hints_zone(node.zone.as_deref().unwrap_or_default())
}

/// A hint is followed only where every ready endpoint has one of its kind, and one of them is meant for this node:
/// an endpoint without hints may be newer than the others, and a node without any would be left alone.
fn topology(all: &[Candidate<'_>], node: &OwnNode) -> Topology {
    let followed = |hint: &dyn Fn(&Endpoint) -> Option<bool>| {
        let mut ready = all.iter().filter(|c| is_ready(c)).map(|c| hint(c.endpoint));
        ready.clone().all(|hint| hint.is_some()) && ready.any(|hint| hint == Some(true))
    };
    if followed(&|endpoint| endpoint.hints_node(&node.name)) {
        Topology::Node
    } else if followed(&|endpoint| for_zone(endpoint, node)) {
        Topology::Zone
    } else {
        Topology::Anywhere
    }
}
