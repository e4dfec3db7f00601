//! Where an address leads from here.

use crate::lookup;
use crate::state::Hop;
use keelson_ebpf_abi::{Address, Config, Flow, Peer, Reason, Tuple};

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

impl Route {
    /// The route that a number stands for.
    #[inline(always)]
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Pod,
            1 => Self::Host,
            2 => Self::Tunnel,
            _ => Self::Outer,
        }
    }
}

/// The way of a packet of a flow that exists. Who asked from outside is answered there, whatever its address is.
#[inline(always)]
pub fn of_flow(config: &Config, flow: &Flow, to: &Tuple, hop: &mut Hop) -> Result<Route, Reason> {
    const ANSWER: u32 = Flow::OUTSIDE | Flow::REPLY;
    if flow.flags & ANSWER == ANSWER {
        return Ok(Route::Outer);
    }
    find(config, &to.source, &to.destination, hop)
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
