//! A packet on its way out of the node. Only what the host's own stack sends is of interest: the answer of
//! a host process behind a NodePort.

use crate::consts::*;
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{conntrack, csum, forward, fragments, parse, policy};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{Config, Flow, Hook, Reason};

#[classifier]
pub fn to_outer(ctx: TcContext) -> i32 {
    verdict::run(&ctx, Hook::ToOuter, judge)
}

#[inline(always)]
fn judge(ctx: &TcContext, config: &Config, state: &mut State) -> Result<Verdict, Reason> {
    // SAFETY: the context is valid while the program runs.
    let forwarded = unsafe { (*ctx.skb.skb).ingress_ifindex } != 0;
    if forwarded || parse::ethertype(ctx) != ETHERTYPE_IPV4 {
        return Ok(Verdict::Pass);
    }
    let now = conntrack::now();
    if parse::ipv4(ctx, &mut state.packet).is_err()
        || state.packet.tuple.source != config.node
        || fragments::complete(&mut state.packet, now).is_err()
    {
        return Ok(Verdict::Pass);
    }
    if let Some(related) = forward::related(ctx, config, state) {
        // It is on its way out already.
        return related.map(|_| Verdict::Pass);
    }
    match conntrack::find(&state.packet, now) {
        Some(flow) if flow.flags & Flow::REPLY != 0 => {
            conntrack::touch(flow, &state.packet, now);
            fragments::remember(&state.packet, now);
            policy::renew(state, flow)?;
            state.to = flow.translated;
            csum::rewrite(ctx, &state.packet, &state.to)?;
        }
        _ => {}
    }
    Ok(Verdict::Pass)
}
