//! What becomes of a packet, counted and carried out in one place.

use crate::consts::*;
use crate::maps;
use crate::state::State;
use aya_ebpf::helpers::{bpf_redirect, bpf_redirect_neigh, bpf_redirect_peer};
use aya_ebpf::programs::TcContext;
use core::ptr;
use keelson_ebpf_abi::{Config, Hook, REASONS, Reason, Trace, TraceVerdict};

/// What becomes of a packet; details stand in the state's next hop.
#[must_use]
#[derive(Clone, Copy, PartialEq)]
#[repr(u32)]
pub enum Verdict {
    /// On to the next program and the host's stack.
    Pass,
    /// Into the pod behind the hop's interface, past its host side.
    Pod,
    /// Into the tunnel, whose key is set.
    Tunnel,
    /// Out of the node.
    Outer,
}

/// A verdict as a number, for functions that the verifier judges on their own: they return nothing else.
#[inline(always)]
pub fn encode(verdict: Result<Verdict, Reason>) -> i32 {
    match verdict {
        Ok(verdict) => verdict as i32,
        Err(reason) => -1 - reason.index() as i32,
    }
}

/// The verdict that a number stands for.
#[inline(always)]
pub fn decode(code: i32) -> Result<Verdict, Reason> {
    match code {
        0 => Ok(Verdict::Pass),
        1 => Ok(Verdict::Pod),
        2 => Ok(Verdict::Tunnel),
        3 => Ok(Verdict::Outer),
        _ => Err(reason((-1 - code) as u32)),
    }
}

#[inline(always)]
fn reason(index: u32) -> Reason {
    if index as usize >= REASONS.len() {
        return Reason::Rewrite;
    }
    // SAFETY: the numbers of the reasons are the indexes below their count, see `counted!`.
    unsafe { core::mem::transmute::<u32, Reason>(index) }
}

/// The program of a hook: what becomes of the packet, or why it is refused.
pub type Judge = fn(&TcContext, &Config, &mut State) -> Result<Verdict, Reason>;

/// Counts a packet or call at its hook.
#[inline(always)]
pub fn count(hook: Hook) {
    bump(maps::HOOK_COUNTS.get_ptr_mut(hook.index()));
}

/// Counts a refusal.
#[inline(always)]
pub fn count_refusal(reason: Reason) {
    bump(maps::DROP_COUNTS.get_ptr_mut(reason.index()));
}

#[inline(always)]
fn bump(counter: Option<*mut u64>) {
    if let Some(counter) = counter {
        // SAFETY: a slot of this CPU; programs do not interrupt each other on one CPU.
        unsafe { *counter += 1 };
    }
}

/// Marks the frame as meant for this host or pod, whatever MAC it came with: frames out of the tunnel carry
/// that of another node.
#[inline(always)]
pub fn for_host(ctx: &TcContext) {
    // SAFETY: the context is valid while the program runs.
    if unsafe { (*ctx.skb.skb).pkt_type } != PACKET_HOST {
        let _ = ctx.change_type(PACKET_HOST);
    }
}

/// Runs a hook's program: counts, judges, acts. While there is no configuration pods' packets are refused,
/// and the host's own pass: without them none would ever come.
#[inline(always)]
pub fn run(ctx: &TcContext, hook: Hook, judge: Judge) -> i32 {
    count(hook);
    let (Some(config), Some(state)) = (crate::lookup::config(), maps::SCRATCH.get_ptr_mut(0)) else {
        if matches!(hook, Hook::FromOuter | Hook::ToOuter) {
            return ACT_UNSPEC;
        }
        count_refusal(Reason::NotReady);
        return ACT_SHOT;
    };
    // SAFETY: this CPU's record, and only one packet program runs on a CPU at a time.
    let state = unsafe { &mut *state };
    // SAFETY: a field of the map's one value, which user space may write at any time: hence volatile, so that it is
    // read here and nowhere else.
    state.epoch = unsafe { ptr::read_volatile(&config.policy_epoch) };
    state.asked = 0;
    let verdict = judge(ctx, config, state);
    if config.flags & Config::TRACE != 0 {
        trace(config, hook, verdict, state);
    }
    act(config, hook, state, verdict)
}

/// Carries out a verdict and returns what the kernel wants to hear.
#[inline(always)]
fn act(config: &Config, hook: Hook, state: &State, verdict: Result<Verdict, Reason>) -> i32 {
    let action = match verdict {
        Ok(Verdict::Pass) => return ACT_UNSPEC,
        Err(reason) => {
            count_refusal(reason);
            return ACT_SHOT;
        }
        // SAFETY: helpers with scalar arguments; no parameters means the kernel resolves the neighbour.
        // What the host sends is not arriving anywhere, so it takes the way through the veth.
        Ok(Verdict::Pod) if hook == Hook::ToVxlan => unsafe { bpf_redirect(state.hop.ifindex, 0) },
        Ok(Verdict::Pod) => unsafe { bpf_redirect_peer(state.hop.ifindex, 0) },
        Ok(Verdict::Tunnel) => unsafe { bpf_redirect(config.vxlan_ifindex, 0) },
        Ok(Verdict::Outer) => unsafe { bpf_redirect_neigh(config.outer_ifindex, ptr::null_mut(), 0, 0) },
    };
    action as i32
}

#[inline(always)]
fn trace(config: &Config, hook: Hook, verdict: Result<Verdict, Reason>, state: &State) {
    let Some(slot) = maps::TRACE.get_ptr_mut(0) else { return };
    // SAFETY: a slot of this CPU.
    let trace = unsafe { &mut *slot };
    *trace = Trace { verdict: 0, reason: 0, ifindex: 0, tunnel: 0, hook: hook.index(), asked: state.asked };
    match verdict {
        Ok(Verdict::Pass) => trace.verdict = TraceVerdict::Pass as u32,
        Err(reason) => {
            trace.verdict = TraceVerdict::Drop as u32;
            trace.reason = reason.index();
        }
        Ok(Verdict::Pod) => {
            trace.verdict = TraceVerdict::Pod as u32;
            trace.ifindex = state.hop.ifindex;
        }
        Ok(Verdict::Tunnel) => {
            trace.verdict = TraceVerdict::Tunnel as u32;
            trace.ifindex = config.vxlan_ifindex;
            trace.tunnel = state.hop.tunnel;
        }
        Ok(Verdict::Outer) => {
            trace.verdict = TraceVerdict::Outer as u32;
            trace.ifindex = config.outer_ifindex;
        }
    }
}
