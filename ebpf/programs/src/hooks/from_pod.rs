//! A packet that a pod sends, seen at the host side of its veth.

use crate::consts::*;
use crate::route::{self, Route};
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{affinity, conntrack, forward, fragments, lookup, parse, refuse};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{AffinityKey, Config, Flow, Hook, Reason, Service};

#[classifier]
pub fn from_pod(ctx: TcContext) -> i32 {
    verdict::run(&ctx, Hook::FromPod, judge)
}

#[inline(always)]
fn judge(ctx: &TcContext, config: &Config, state: &mut State) -> Result<Verdict, Reason> {
    match parse::ethertype(ctx) {
        ETHERTYPE_IPV4 => {}
        ETHERTYPE_ARP => return Ok(Verdict::Pass),
        ETHERTYPE_IPV6 => return Err(Reason::Ipv6),
        _ => return Err(Reason::Protocol),
    }
    parse::ipv4(ctx, &mut state.packet)?;
    let policy_set = own_policy_set(ctx, state)?;
    if state.packet.tuple.destination == config.node_local {
        verdict::for_host(ctx);
        return Ok(Verdict::Pass);
    }
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
    forward::prepare(state, now);
    state.flow.flags = Flow::OWN;
    state.flow.policy_set = policy_set;
    let tuple = &state.packet.tuple;
    if let Some(service) = lookup::service(config, &tuple.destination, tuple.destination_port, tuple.protocol)
        && !choose(config, state, service)
    {
        return refuse::service(ctx, config, state, service, Route::Pod);
    }
    let translated = &state.flow.translated;
    let route = route::find(config, &translated.source, &translated.destination, &mut state.hop)?;
    // The host's stack keeps its own state; only a translation needs ours.
    if route == Route::Host && state.flow.service == 0 {
        verdict::for_host(ctx);
        return Ok(Verdict::Pass);
    }
    forward::open(ctx, config, state, route, route == Route::Outer)
}

/// The sender's policy set; refuses an address that does not belong to this interface.
#[inline(always)]
fn own_policy_set(ctx: &TcContext, state: &State) -> Result<u32, Reason> {
    let sender = lookup::endpoint(&state.packet.tuple.source).ok_or(Reason::Spoofed)?;
    // SAFETY: the context is valid while the program runs.
    let ifindex = unsafe { (*ctx.skb.skb).ifindex };
    if sender.ifindex == ifindex { Ok(sender.policy_set) } else { Err(Reason::Spoofed) }
}

/// Turns the flow to one backend of the service; whether there is one.
#[inline(always)]
fn choose(config: &Config, state: &mut State, service: &Service) -> bool {
    let source = state.packet.tuple.source;
    let kind = AffinityKey::BY_ADDRESS;
    let Some(backend) = affinity::backend(service, &source, kind, lookup::any_number()) else {
        return false;
    };
    forward::turn(state, service, &backend);
    // Who would answer past us must see another sender: the pod itself, and a process of this host, whose
    // answer to the gateway comes by the tunnel's egress.
    if backend.address == source || backend.address == config.node {
        state.flow.translated.source = config.gateway;
    }
    true
}
