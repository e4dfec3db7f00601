//! A packet that the host's stack sends to a pod. Packets between pods do not come by here: they are
//! redirected past the host side of the veth.

use crate::consts::*;
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{conntrack, csum, parse};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{Config, Flow, Hook, Reason};

#[classifier]
pub fn to_pod(ctx: TcContext) -> i32 {
    verdict::run(&ctx, Hook::ToPod, judge)
}

/// Gives the answer of a host process the service address that the pod had asked.
#[inline(always)]
fn judge(ctx: &TcContext, _config: &Config, state: &mut State) -> Result<Verdict, Reason> {
    if parse::ethertype(ctx) != ETHERTYPE_IPV4 {
        return Ok(Verdict::Pass);
    }
    parse::ipv4(ctx, &mut state.packet)?;
    if state.packet.fragment {
        return Ok(Verdict::Pass);
    }
    let now = conntrack::now();
    match conntrack::find(&state.packet, now) {
        Some(flow) if flow.flags & Flow::REPLY != 0 => {
            conntrack::touch(flow, &state.packet, now);
            state.to = flow.translated;
            csum::rewrite(ctx, &state.packet, &state.to)?;
        }
        _ => {}
    }
    Ok(Verdict::Pass)
}
