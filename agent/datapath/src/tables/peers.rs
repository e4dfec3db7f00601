//! Nodes -> what is outside this node's pods.

use super::{Facts, Problem, pod_ranges};
use keelson_client::views::Node;
use keelson_ebpf_abi::{Address, Peer, PeerKey};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The peers' table: the cluster's ranges, each node's addresses, each other node's pods.
pub fn build(facts: &Facts, nodes: &[Arc<Node>], problems: &mut Vec<Problem>) -> BTreeMap<PeerKey, Peer> {
    let mut peers = BTreeMap::new();
    let plain = |kind| Peer { tunnel: Address::UNSPECIFIED, kind, class: 0 };
    peers.insert(facts.cluster.key(), plain(Peer::UNASSIGNED));
    peers.insert(facts.services.key(), plain(Peer::SERVICES));
    for node in nodes {
        add(facts, node, &mut peers, problems);
    }
    let own = Peer { tunnel: facts.node, kind: Peer::NODE, class: 0 };
    peers.insert(PeerKey { prefix_bits: 128, address: facts.node }, own);
    peers
}

fn add(facts: &Facts, node: &Node, peers: &mut BTreeMap<PeerKey, Peer>, problems: &mut Vec<Problem>) {
    let addresses = internal_addresses(node);
    let Some(tunnel) = addresses.first().copied() else {
        if node.metadata.name != facts.node_name {
            let object = format!("Node {}", node.metadata.name);
            problems.push(Problem { object, message: "has no InternalIP yet".to_owned() });
        }
        return;
    };
    for address in &addresses {
        let peer = Peer { tunnel, kind: Peer::NODE, class: 0 };
        peers.insert(PeerKey { prefix_bits: 128, address: *address }, peer);
    }
    if node.metadata.name == facts.node_name {
        return;
    }
    for range in pod_ranges(node) {
        peers.insert(range.key(), Peer { tunnel, kind: Peer::PODS, class: 0 });
    }
}

fn internal_addresses(node: &Node) -> Vec<Address> {
    let internal = node.status.addresses.iter().filter(|address| address.r#type == "InternalIP");
    internal.filter_map(|address| address.address.parse::<IpAddr>().ok()).map(Address::from).collect()
}
