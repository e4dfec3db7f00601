//! Services, endpoints and peers by address.

use crate::maps;
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::bpf_get_prandom_u32;
use keelson_ebpf_abi::{Address, Backend, Be16, Config, Endpoint, Peer, Service, ServiceKey};

/// The node's configuration; absent until the agent has written it.
#[inline(always)]
pub fn config() -> Option<&'static Config> {
    let config = maps::CONFIG.get(0)?;
    (config.layout == keelson_ebpf_abi::LAYOUT).then_some(config)
}

/// A pod of this node.
#[inline(always)]
pub fn endpoint(address: &Address) -> Option<&'static Endpoint> {
    // SAFETY: written by user space only, replaced as a whole; memory lives until after the RCU grace period.
    unsafe { maps::ENDPOINTS.get(address) }
}

/// What an address outside this node's pods is.
#[inline(always)]
pub fn peer(address: &Address) -> Option<&'static Peer> {
    maps::PEERS.get(&Key::new(128, *address))
}

/// The service behind an address and port as pods and processes of the node reach it, NodePorts of any node included.
#[inline(always)]
pub fn service(config: &Config, address: &Address, port: Be16, protocol: u8) -> Option<&'static Service> {
    let mut key = ServiceKey { address: *address, port, protocol, scope: ServiceKey::INSIDE };
    if let Some(service) = exact(&key) {
        return Some(service);
    }
    if !is_node_port(config, port) || !is_node(config, address) {
        return None;
    }
    key.address = Address::UNSPECIFIED;
    exact(&key)
}

/// The service that a packet from outside asks for, by any address and port; NodePorts by this node's address only.
#[inline(always)]
pub fn outside(config: &Config, address: &Address, port: Be16, protocol: u8) -> Option<&'static Service> {
    let mut key = ServiceKey { address: *address, port, protocol, scope: ServiceKey::OUTSIDE };
    if let Some(service) = exact(&key) {
        return Some(service);
    }
    if !is_node_port(config, port) || *address != config.node {
        return None;
    }
    key.address = Address::UNSPECIFIED;
    exact(&key)
}

/// What answers at exactly this address and port to who is in the cluster: of a node's address, a port of a pod.
#[inline(always)]
pub fn inside(address: &Address, port: Be16, protocol: u8) -> Option<&'static Service> {
    exact(&ServiceKey { address: *address, port, protocol, scope: ServiceKey::INSIDE })
}

#[inline(always)]
fn exact(key: &ServiceKey) -> Option<&'static Service> {
    // SAFETY: as for endpoints.
    unsafe { maps::SERVICES.get(key) }
}

#[inline(always)]
fn is_node_port(config: &Config, port: Be16) -> bool {
    port.get() >= config.node_port_first && port.get() <= config.node_port_last
}

#[inline(always)]
fn is_node(config: &Config, address: &Address) -> bool {
    *address == config.node || matches!(peer(address), Some(peer) if peer.kind == Peer::NODE)
}

/// One backend of the service, by a number that the caller chooses; none when there is none.
#[inline(always)]
pub fn backend(service: &Service, number: u32) -> Option<&'static Backend> {
    if service.count == 0 {
        return None;
    }
    maps::BACKENDS.get(service.base.wrapping_add(number % service.count))
}

/// A number for a choice that nothing pins.
#[inline(always)]
pub fn any_number() -> u32 {
    // SAFETY: no arguments.
    unsafe { bpf_get_prandom_u32() }
}
