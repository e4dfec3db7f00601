//! What every packet hook does with a packet once it is parsed: follow a flow or open one.

use crate::route::{self, Route};
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{conntrack, csum, encap, nat, policy};
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{Backend, Config, Flow, Reason, Service};

/// Starts a flow that leaves as it came.
#[inline(always)]
pub fn prepare(config: &Config, state: &mut State, policy_set: u32, now: u64) {
    state.flow = Flow {
        translated: state.packet.tuple,
        seen_ns: now,
        policy_epoch: config.policy_epoch,
        policy_set,
        service: 0,
        flags: 0,
        reserved: [0; 2],
    };
}

/// Turns the flow that is being opened to a backend.
#[inline(always)]
pub fn turn(state: &mut State, service: &Service, backend: &Backend) {
    state.flow.service = service.id;
    state.flow.translated.destination = backend.address;
    state.flow.translated.destination_port = backend.port;
}

/// Sends a packet on by a flow that exists. A new policy epoch has it judged again.
#[inline(always)]
pub fn established(
    ctx: &TcContext,
    config: &Config,
    state: &mut State,
    flow: &mut Flow,
    now: u64,
) -> Result<Verdict, Reason> {
    conntrack::touch(flow, &state.packet, now);
    state.to = flow.translated;
    let route = route::find(config, &state.to.source, &state.to.destination, &mut state.hop)?;
    if flow.policy_epoch != config.policy_epoch && flow.flags & Flow::REPLY == 0 {
        judge(config, flow.policy_set, route, state)?;
        flow.policy_epoch = config.policy_epoch;
    }
    send(ctx, config, state, route)
}

/// Judges, opens and sends the first packet of a flow.
#[inline(always)]
pub fn open(
    ctx: &TcContext,
    config: &Config,
    state: &mut State,
    route: Route,
    masquerade: bool,
) -> Result<Verdict, Reason> {
    state.to = state.flow.translated;
    judge(config, state.flow.policy_set, route, state)?;
    // What cannot be carried out must not become a flow.
    let portable = state.packet.has_port();
    let turned = state.to.destination_port != state.packet.tuple.destination_port;
    if (masquerade || turned) && !portable {
        return Err(Reason::Protocol);
    }
    if masquerade {
        state.flow.translated.source = config.node;
    }
    nat::open(config, state, masquerade, portable)?;
    state.to = state.flow.translated;
    send(ctx, config, state, route)
}

/// Sends an untracked packet on as it is: fragments, whose later parts name no flow.
#[inline(always)]
pub fn untracked(ctx: &TcContext, config: &Config, state: &mut State) -> Result<Verdict, Reason> {
    state.to = state.packet.tuple;
    match route::find(config, &state.to.source, &state.to.destination, &mut state.hop) {
        Ok(Route::Outer) | Err(Reason::NoService) => Err(Reason::Fragment),
        Ok(route) => send(ctx, config, state, route),
        Err(reason) => Err(reason),
    }
}

#[inline(always)]
fn judge(config: &Config, sender_set: u32, route: Route, state: &State) -> Result<(), Reason> {
    let epoch = config.policy_epoch;
    if !policy::allows_egress(sender_set, epoch, &state.to) {
        return Err(Reason::EgressPolicy);
    }
    if route == Route::Pod && !policy::allows_ingress(state.hop.policy_set, epoch, &state.to) {
        return Err(Reason::IngressPolicy);
    }
    Ok(())
}

#[inline(always)]
fn send(ctx: &TcContext, config: &Config, state: &State, route: Route) -> Result<Verdict, Reason> {
    csum::rewrite(ctx, &state.packet, &state.to)?;
    match route {
        Route::Pod => {
            csum::set_macs(ctx, &state.hop, config.gateway_mac)?;
            verdict::for_host(ctx);
            Ok(Verdict::Pod)
        }
        Route::Host => {
            verdict::for_host(ctx);
            Ok(Verdict::Pass)
        }
        Route::Tunnel => {
            encap::set_key(ctx, config, state.hop.tunnel)?;
            Ok(Verdict::Tunnel)
        }
        Route::Outer => Ok(Verdict::Outer),
    }
}
