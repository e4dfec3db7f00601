//! A packet that the host's stack sends to a pod of another node, through the route to the tunnel.

use crate::consts::*;
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{encap, lookup, parse};
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
    match lookup::peer(&state.packet.tuple.destination) {
        Some(peer) if peer.kind == Peer::PODS || peer.kind == Peer::NODE => {
            encap::set_key(ctx, config, peer.tunnel.v4_word())?;
            Ok(Verdict::Pass)
        }
        _ => Err(Reason::NoPod),
    }
}
