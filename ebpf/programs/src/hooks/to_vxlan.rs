//! A packet that the host's stack sends through the route to the tunnel: to a pod of another node, or to the
//! pods' gateway, which is the answer to a pod that asked a process of this host by a service.

use crate::consts::*;
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{conntrack, encap, forward, fragments, lookup, parse};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{Config, Hook, Peer, Reason};

#[classifier]
pub fn to_vxlan(ctx: TcContext) -> i32 {
    verdict::run(&ctx, Hook::ToVxlan, judge)
}

#[inline(always)]
fn judge(ctx: &TcContext, config: &Config, state: &mut State) -> Result<Verdict, Reason> {
    if parse::ethertype(ctx) != ETHERTYPE_IPV4 {
        return Err(Reason::Protocol);
    }
    if encap::has_key(ctx) {
        return Ok(Verdict::Pass);
    }
    parse::ipv4(ctx, &mut state.packet)?;
    if state.packet.tuple.destination == config.gateway {
        let now = conntrack::now();
        fragments::complete(&mut state.packet, now)?;
        if let Some(related) = forward::related(ctx, config, state) {
            return related;
        }
        let flow = conntrack::find(&state.packet, now).ok_or(Reason::NoPod)?;
        return forward::established(ctx, config, state, flow, now);
    }
    match lookup::peer(&state.packet.tuple.destination) {
        Some(peer) if peer.kind == Peer::PODS || peer.kind == Peer::NODE => {
            encap::set_key(ctx, config, peer.tunnel.v4_word())?;
            Ok(Verdict::Pass)
        }
        _ => Err(Reason::NoPod),
    }
}
