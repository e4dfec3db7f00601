//! API views -> plain tables: what both backends are written from and the model judges by.
//!
//! Pure: no IO, no clock, no randomness. Every address is 128 bit with its family.

mod compiler;
mod peers;
mod policy;
mod prefix;
mod services;

pub use compiler::{Compiler, ServiceView, Touched};
pub use policy::Policy;
pub use prefix::{Prefix, PrefixError};
pub use services::{Compiled, HealthCheck, OwnNode, Owner, ServicePort, Services, has_host_ports};

use keelson_client::views::{EndpointSlice, Node, Pod, Service};
use keelson_ebpf_abi::{Address, Config, Endpoint, LAYOUT, Peer, PeerKey};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// What the cluster and the node are, fixed for the life of the agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The node's name in the API.
    pub node_name: String,
    /// The node's address.
    pub node: Address,
    /// Interface that leads out of the node.
    pub outer_ifindex: u32,
    /// The VXLAN device.
    pub vxlan_ifindex: u32,
    /// VXLAN network identifier.
    pub vni: u32,
    /// All pods' addresses.
    pub cluster: Prefix,
    /// All services' addresses.
    pub services: Prefix,
    /// The cluster DNS address, served by the node itself.
    pub dns: Option<Address>,
    /// NodePorts.
    pub node_ports: RangeInclusive<u16>,
    /// Ports to masquerade with.
    pub nat_ports: RangeInclusive<u16>,
    /// [`Config::TRACE`], [`Config::CHECK_TUNNEL`].
    pub flags: u32,
}

/// The pods' gateway: link-local, so it is on no network of anyone's.
pub const GATEWAY: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 169, 254, 1, 1];

/// The MAC of every veth's host side. Locally administered; each veth is a link of its own, so one will do.
pub const GATEWAY_MAC: [u8; 6] = [0x02, 0x6b, 0x65, 0x65, 0x6c, 0x01];

/// The API's objects that the tables are made of.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// Every Service.
    pub services: Vec<Arc<Service>>,
    /// Every EndpointSlice.
    pub slices: Vec<Arc<EndpointSlice>>,
    /// Every Node.
    pub nodes: Vec<Arc<Node>>,
    /// The pods of this node that have a network.
    pub pods: Vec<LocalPod>,
    /// What policies come to for this node's pods.
    pub policy: Policy,
}

/// A pod of this node and the address that it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalPod {
    /// As the API has it.
    pub pod: Arc<Pod>,
    /// Its address; the API may not know it yet.
    pub address: Address,
}

/// Everything that the data plane holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Tables {
    /// The node's own facts, and the policy's epoch.
    pub config: Config,
    /// This node's pod range, once it has one.
    pub range: Option<Prefix>,
    /// Service ports by where clients knock.
    pub services: Services,
    /// What is outside this node's pods.
    pub peers: BTreeMap<PeerKey, Peer>,
    /// The pods of this node, each with its policy set.
    pub endpoints: BTreeMap<Address, Endpoint>,
    /// What load balancers ask this node for, by port.
    pub health: BTreeMap<u16, HealthCheck>,
}

/// Something in the views that cannot be served; the rest is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `Service default/web` or `Node one`.
    pub object: String,
    /// One line.
    pub message: String,
}

impl Tables {
    /// Compiles the views. Problems are reported beside tables that hold all the rest.
    pub fn build(
        facts: &Facts,
        views: &Views,
        endpoints: &BTreeMap<Address, Endpoint>,
    ) -> (Self, Vec<Problem>) {
        let mut compiler = Compiler::new(facts.clone());
        compiler.set_views(views);
        compiler.set_endpoints(endpoints);
        (compiler.tables().clone(), compiler.problems())
    }

    /// What an address outside this node's pods is: the longest prefix wins.
    pub fn peer(&self, address: Address) -> Option<Peer> {
        let matching = self.peers.iter().filter(|(key, _)| address.masked(key.prefix_bits) == key.address);
        matching.max_by_key(|(key, _)| key.prefix_bits).map(|(_, peer)| *peer)
    }
}

/// The IPv4 range of this node's pods, once it has one.
pub fn own_range(facts: &Facts, nodes: &[Arc<Node>]) -> Option<Prefix> {
    let own = nodes.iter().find(|node| node.metadata.name == facts.node_name)?;
    pod_ranges(own).into_iter().find(|range| range.address.is_v4())
}

/// The pod ranges of one node, as its view states them.
pub fn pod_ranges(node: &Node) -> Vec<Prefix> {
    node.pod_cidrs().filter_map(|text| text.parse().ok()).collect()
}

impl Facts {
    /// The facts as the programs read them; the epoch of a node that knows no policy yet is 0.
    pub fn config(&self) -> Config {
        Config {
            node: self.node,
            node_local: self.dns.unwrap_or(Address::UNSPECIFIED),
            gateway: Address::from_bytes(GATEWAY),
            // Known to the backend alone.
            netns_cookie: 0,
            outer_ifindex: self.outer_ifindex,
            vxlan_ifindex: self.vxlan_ifindex,
            vni: self.vni,
            policy_epoch: 0,
            nat_first: *self.nat_ports.start(),
            nat_count: self.nat_ports.end() - self.nat_ports.start() + 1,
            node_port_first: *self.node_ports.start(),
            node_port_last: *self.node_ports.end(),
            flags: self.flags,
            layout: LAYOUT,
            gateway_mac: GATEWAY_MAC,
            reserved: keelson_ebpf_abi::Be16::ZERO,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
