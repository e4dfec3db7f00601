//! A packet from outside: an answer to a masqueraded flow, a service's port of this node or address of its own, or
//! none of our business.

use crate::consts::*;
use crate::route::{self, Route};
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{affinity, conntrack, forward, fragments, lookup, parse, refuse};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{AffinityKey, Config, Flow, Hook, Reason};

#[classifier]
pub fn from_outer(ctx: TcContext) -> i32 {
    verdict::run(&ctx, Hook::FromOuter, judge)
}

#[inline(always)]
fn judge(ctx: &TcContext, config: &Config, state: &mut State) -> Result<Verdict, Reason> {
    // SAFETY: the context is valid while the program runs.
    let overheard = unsafe { (*ctx.skb.skb).pkt_type } == PACKET_OTHER_HOST;
    if overheard || parse::ethertype(ctx) != ETHERTYPE_IPV4 {
        return Ok(Verdict::Pass);
    }
    let now = conntrack::now();
    // What cannot be parsed is the stack's to judge, and so is a fragment of which nothing is known.
    if parse::ipv4(ctx, &mut state.packet).is_err() || fragments::complete(&mut state.packet, now).is_err() {
        return Ok(Verdict::Pass);
    }
    if let Some(related) = forward::related(ctx, config, state) {
        return related;
    }
    if let Some(flow) = conntrack::find(&state.packet, now) {
        return forward::established(ctx, config, state, flow, now);
    }
    let tuple = &state.packet.tuple;
    let found = lookup::outside(config, &tuple.destination, tuple.destination_port, tuple.protocol);
    let Some(service) = found else { return Ok(Verdict::Pass) };
    // Its first fragment has had no flow either.
    if state.packet.is_later() {
        return Err(Reason::Fragment);
    }
    let kind = AffinityKey::BY_ADDRESS;
    let Some(backend) = affinity::backend(service, &tuple.source, kind, lookup::any_number()) else {
        return refuse::service(ctx, config, state, service, Route::Outer);
    };
    forward::prepare(state, now);
    forward::turn(state, service, &backend);
    state.flow.flags = Flow::OUTSIDE;
    // Routed as if from this node: a backend elsewhere must answer through it.
    let route = route::find(config, &config.node, &backend.address, &mut state.hop)?;
    let masquerade = route == Route::Tunnel || route == Route::Outer;
    forward::open(ctx, config, state, route, masquerade)
}
