//! Where an address leads from here.

use crate::lookup;
use crate::state::Hop;
use keelson_ebpf_abi::{Address, Config, Peer, Reason};

/// The next hop of a packet; its details stand in a [`Hop`].
#[derive(Clone, Copy, PartialEq)]
#[repr(u32)]
pub enum Route {
    /// A pod of this node: interface, MAC and policy set are filled in.
    Pod,
    /// This node's own stack.
    Host,
    /// Another node: the tunnel's far end is filled in.
    Tunnel,
    /// Out of the cluster.
    Outer,
}

/// Finds the way. What this node itself sends to a node goes straight out: only the pods' addresses are
/// unknown to the network between the nodes.
#[inline(always)]
pub fn find(
    config: &Config,
    source: &Address,
    destination: &Address,
    hop: &mut Hop,
) -> Result<Route, Reason> {
    if let Some(endpoint) = lookup::endpoint(destination) {
        hop.ifindex = endpoint.ifindex;
        hop.policy_set = endpoint.policy_set;
        hop.mac = endpoint.mac;
        return Ok(Route::Pod);
    }
    if *destination == config.node || *destination == config.node_local {
        return Ok(Route::Host);
    }
    let Some(peer) = lookup::peer(destination) else { return Ok(Route::Outer) };
    match peer.kind {
        Peer::NODE if *source == config.node => Ok(Route::Outer),
        Peer::NODE | Peer::PODS => {
            hop.tunnel = peer.tunnel.v4_word();
            Ok(Route::Tunnel)
        }
        Peer::SERVICES => Err(Reason::NoService),
        _ => Err(Reason::NoPod),
    }
}
