//! A packet out of the tunnel: for a pod of this node, for this node, or the answer to a NodePort.

use crate::consts::*;
use crate::route::{self, Route};
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{conntrack, encap, forward, parse};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{Config, Hook, Reason};

#[classifier]
pub fn from_vxlan(ctx: TcContext) -> i32 {
    verdict::run(&ctx, Hook::FromVxlan, judge)
}

#[inline(always)]
fn judge(ctx: &TcContext, config: &Config, state: &mut State) -> Result<Verdict, Reason> {
    if parse::ethertype(ctx) != ETHERTYPE_IPV4 {
        return Err(Reason::Protocol);
    }
    parse::ipv4(ctx, &mut state.packet)?;
    encap::check_sender(ctx, config, &state.packet.tuple)?;
    let now = conntrack::now();
    if !state.packet.fragment
        && let Some(flow) = conntrack::find(&state.packet, now)
    {
        return forward::established(ctx, config, state, flow, now);
    }
    let tuple = &state.packet.tuple;
    match route::find(config, &tuple.source, &tuple.destination, &mut state.hop)? {
        Route::Pod if state.packet.fragment => forward::untracked(ctx, config, state),
        Route::Pod => {
            forward::prepare(config, state, 0, now);
            forward::open(ctx, config, state, Route::Pod, false)
        }
        Route::Host => {
            verdict::for_host(ctx);
            Ok(Verdict::Pass)
        }
        // A node is no transit: what is not for it was sent wrongly.
        Route::Tunnel | Route::Outer => Err(Reason::NoPod),
    }
}
