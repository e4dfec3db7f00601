//! A packet out of the tunnel: for a pod of this node, for this node, or the answer to a NodePort.

use crate::consts::*;
use crate::route::{self, Route};
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{conntrack, encap, forward, fragments, lookup, parse};
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
    if fragments::complete(&mut state.packet, now).is_err() {
        return forward::lost_fragment(ctx, config, state);
    }
    if let Some(related) = forward::related(ctx, config, state) {
        return related;
    }
    if let Some(flow) = conntrack::find(&state.packet, now) {
        return forward::established(ctx, config, state, flow, now);
    }
    if state.packet.is_later() {
        return forward::lost_fragment(ctx, config, state);
    }
    let tuple = &state.packet.tuple;
    match route::find(config, &tuple.source, &tuple.destination, &mut state.hop)? {
        Route::Pod => {
            forward::prepare(state, now);
            forward::open(ctx, config, state, Route::Pod, false)
        }
        Route::Host => to_node(ctx, config, state, now),
        // A node is no transit: what is not for it was sent wrongly.
        Route::Tunnel | Route::Outer => Err(Reason::NoPod),
    }
}

/// A packet for this node: for a port that one of its pods has, or for its stack.
#[inline(always)]
fn to_node(ctx: &TcContext, config: &Config, state: &mut State, now: u64) -> Result<Verdict, Reason> {
    let tuple = &state.packet.tuple;
    if let Some(service) = lookup::inside(&tuple.destination, tuple.destination_port, tuple.protocol)
        && let Some(backend) = lookup::backend(service, lookup::any_number())
        && let Ok(Route::Pod) = route::find(config, &tuple.source, &backend.address, &mut state.hop)
    {
        forward::prepare(state, now);
        forward::turn(state, service, backend);
        return forward::open(ctx, config, state, Route::Pod, false);
    }
    verdict::for_host(ctx);
    Ok(Verdict::Pass)
}
