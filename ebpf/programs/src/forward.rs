//! What every packet hook does with a packet once it is parsed: follow a flow or open one.
//!
//! What only some packets meet is a function of its own for the verifier (`extern "C"`, not inlined): it is verified
//! once, with any state, instead of once per way that leads to it.

use crate::route::{self, Route};
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{conntrack, csum, encap, fragments, nat, parse, policy};
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{Backend, Config, Flow, Reason, Service};

/// Starts a flow that leaves as it came, and that no pod of this node has sent.
#[inline(always)]
pub fn prepare(state: &mut State, now: u64) {
    state.flow = Flow {
        translated: state.packet.tuple,
        seen_ns: now,
        policy_epoch: state.epoch,
        policy_set: 0,
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

/// Sends a packet on by a flow that exists. The first one of a new policy epoch has the flow judged again.
#[inline(always)]
pub fn established(
    ctx: &TcContext,
    config: &Config,
    state: &mut State,
    flow: &mut Flow,
    now: u64,
) -> Result<Verdict, Reason> {
    conntrack::touch(flow, &state.packet, now);
    fragments::remember(&state.packet, now);
    state.to = flow.translated;
    let route = route::of_flow(config, flow, &state.to, &mut state.hop)?;
    policy::renew(state, flow)?;
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
    let (config, state): (*const Config, *mut State) = (config, state);
    verdict::decode(open_flow(ctx.skb.skb, config, state, route as u32, u32::from(masquerade)))
}

/// See [`open`]; the pointers are checked because the verifier promises nothing here.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn open_flow(
    skb: *mut __sk_buff,
    config: *const Config,
    state: *mut State,
    route: u32,
    masquerade: u32,
) -> i32 {
    // SAFETY: the callers' own, see `open`.
    let (Some(config), Some(state)) = (unsafe { config.as_ref() }, unsafe { state.as_mut() }) else {
        return verdict::encode(Err(Reason::NotReady));
    };
    let ctx = TcContext::new(skb);
    verdict::encode(first(&ctx, config, state, Route::from_number(route), masquerade != 0))
}

#[inline(always)]
fn first(
    ctx: &TcContext,
    config: &Config,
    state: &mut State,
    route: Route,
    masquerade: bool,
) -> Result<Verdict, Reason> {
    state.to = state.flow.translated;
    state.delivered = state.to;
    let receiver_set = if route == Route::Pod { state.hop.policy_set } else { 0 };
    policy::judge(state, state.flow.policy_set, receiver_set)?;
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
    fragments::remember(&state.packet, state.flow.seen_ns);
    state.to = state.flow.translated;
    send(ctx, config, state, route)
}

/// A later fragment whose first one has not been seen. What is for this node itself is its stack's to judge; else
/// nothing says which flow it belongs to.
#[inline(always)]
pub fn lost_fragment(ctx: &TcContext, config: &Config, state: &State) -> Result<Verdict, Reason> {
    if state.packet.tuple.destination != config.node {
        return Err(Reason::Fragment);
    }
    verdict::for_host(ctx);
    Ok(Verdict::Pass)
}

/// Sends an ICMP error to who sent the packet that it is about, as that sender knows the packet. `None` when no flow
/// is known to which that belonged.
#[inline(always)]
pub fn related(ctx: &TcContext, config: &Config, state: &mut State) -> Option<Result<Verdict, Reason>> {
    if !state.packet.is_error() {
        return None;
    }
    let (config, state): (*const Config, *mut State) = (config, state);
    let code = send_related(ctx.skb.skb, config, state);
    (code != UNRELATED).then(|| verdict::decode(code))
}

/// No verdict has this number.
const UNRELATED: i32 = 0x100;

/// See [`related`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn send_related(skb: *mut __sk_buff, config: *const Config, state: *mut State) -> i32 {
    // SAFETY: the callers' own, see `related`.
    let (Some(config), Some(state)) = (unsafe { config.as_ref() }, unsafe { state.as_mut() }) else {
        return UNRELATED;
    };
    let ctx = TcContext::new(skb);
    match of_quoted(&ctx, config, state) {
        Some(verdict) => verdict::encode(verdict),
        None => UNRELATED,
    }
}

#[inline(always)]
fn of_quoted(ctx: &TcContext, config: &Config, state: &mut State) -> Option<Result<Verdict, Reason>> {
    let l4 = parse::quoted(ctx, &state.packet, &mut state.quoted)?;
    // Who reports the error goes the way of the answers to the packet that met it.
    let flow = conntrack::get(&state.quoted.reversed())?;
    if flow.expired(state.quoted.protocol, conntrack::now()) {
        return None;
    }
    state.quoted_to = flow.translated.reversed();
    Some(carry(ctx, config, state, flow, l4))
}

#[inline(always)]
fn carry(
    ctx: &TcContext,
    config: &Config,
    state: &mut State,
    flow: &Flow,
    l4: u32,
) -> Result<Verdict, Reason> {
    let answer = &flow.translated;
    let route = route::of_flow(config, flow, answer, &mut state.hop)?;
    state.to = state.packet.tuple;
    state.to.destination = answer.destination;
    // The receiver speaks as the sender knows it. A router on the way speaks for itself, but not in the tunnel: the
    // other node would not let it.
    if state.packet.tuple.source == state.quoted.destination || route == Route::Tunnel {
        state.to.source = answer.source;
    }
    csum::rewrite_quoted(ctx, &state.packet, l4, &state.quoted, &state.quoted_to)?;
    send(ctx, config, state, route)
}

/// Sends the packet on as `state.to`.
#[inline(always)]
fn send(ctx: &TcContext, config: &Config, state: &mut State, route: Route) -> Result<Verdict, Reason> {
    let (config, state): (*const Config, *mut State) = (config, state);
    verdict::decode(send_on(ctx.skb.skb, config, state, route as u32))
}

/// See [`send`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn send_on(skb: *mut __sk_buff, config: *const Config, state: *mut State, route: u32) -> i32 {
    // SAFETY: the callers' own, see `send`.
    let (Some(config), Some(state)) = (unsafe { config.as_ref() }, unsafe { state.as_ref() }) else {
        return verdict::encode(Err(Reason::NotReady));
    };
    let ctx = TcContext::new(skb);
    verdict::encode(leave(&ctx, config, state, Route::from_number(route)))
}

#[inline(always)]
fn leave(ctx: &TcContext, config: &Config, state: &State, route: Route) -> Result<Verdict, Reason> {
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
