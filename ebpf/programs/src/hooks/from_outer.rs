//! A packet from outside: an answer to a masqueraded flow, a NodePort, or none of our business.

use crate::consts::*;
use crate::route::{self, Route};
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{conntrack, forward, lookup, parse};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{Config, Hook, Reason};

#[classifier]
pub fn from_outer(ctx: TcContext) -> i32 {
    verdict::run(&ctx, Hook::FromOuter, judge)
}

#[inline(always)]
fn judge(ctx: &TcContext, config: &Config, state: &mut State) -> Result<Verdict, Reason> {
    if parse::ethertype(ctx) != ETHERTYPE_IPV4 {
        return Ok(Verdict::Pass);
    }
    // What cannot be parsed, or is not for this node's address, is the stack's to judge.
    let parsed = parse::ipv4(ctx, &mut state.packet);
    if parsed.is_err() || state.packet.tuple.destination != config.node || state.packet.fragment {
        return Ok(Verdict::Pass);
    }
    let now = conntrack::now();
    if let Some(flow) = conntrack::find(&state.packet, now) {
        return forward::established(ctx, config, state, flow, now);
    }
    let tuple = &state.packet.tuple;
    let Some(service) = lookup::node_port(config, tuple.destination_port, tuple.protocol) else {
        return Ok(Verdict::Pass);
    };
    let backend = lookup::backend(service, lookup::any_number()).ok_or(Reason::NoBackend)?;
    forward::prepare(config, state, 0, now);
    forward::turn(state, service, backend);
    // Routed as if from this node: a backend elsewhere must answer through it.
    let route = route::find(config, &config.node, &backend.address, &mut state.hop)?;
    let masquerade = route == Route::Tunnel || route == Route::Outer;
    forward::open(ctx, config, state, route, masquerade)
}
