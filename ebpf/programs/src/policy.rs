//! The policy hook: asked when a flow opens, and by the flow's first packet of every later epoch; no packet between
//! asks again, and an ICMP error follows its flow unasked.
//!
//! Nothing is enforced yet. User space compiles no NetworkPolicy, so the set of every pod is 0; and the answer is yes
//! for any set, because there are no verdicts to look up. What holds today is when it is asked, about what, and what
//! the flow's entries say of it afterwards.

use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{conntrack, lookup};
use keelson_ebpf_abi::{Address, Flow, Reason, Tuple};

/// Judges the flow of `state.delivered` by the sets of its sender and its receiver; 0 stands for a pod that no policy
/// selects and for who is not a pod of this node.
#[inline(always)]
pub fn judge(state: &mut State, sender_set: u32, receiver_set: u32) -> Result<(), Reason> {
    state.asked = 1;
    if !allows_egress(sender_set, &state.delivered) {
        return Err(Reason::EgressPolicy);
    }
    if !allows_ingress(receiver_set, &state.delivered) {
        return Err(Reason::IngressPolicy);
    }
    Ok(())
}

/// Whether the sender's policy set lets it open this flow.
#[inline(always)]
fn allows_egress(_set: u32, _delivered: &Tuple) -> bool {
    true
}

/// Whether the receiver's policy set lets this flow in.
#[inline(always)]
fn allows_ingress(_set: u32, _delivered: &Tuple) -> bool {
    true
}

/// Has a flow of another epoch judged again, whichever of its directions the packet has.
#[inline(always)]
pub fn renew(state: &mut State, flow: &mut Flow) -> Result<(), Reason> {
    if flow.policy_epoch == state.epoch {
        return Ok(());
    }
    let (state, flow): (*mut State, *mut Flow) = (state, flow);
    verdict::decode(judge_again(state, flow)).map(|_| ())
}

/// See [`renew`]. A function of its own for the verifier, as those in `forward.rs`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn judge_again(state: *mut State, flow: *mut Flow) -> i32 {
    // SAFETY: the callers' own, see `renew`.
    let (Some(state), Some(flow)) = (unsafe { state.as_mut() }, unsafe { flow.as_mut() }) else {
        return verdict::encode(Err(Reason::NotReady));
    };
    verdict::encode(again(state, flow).map(|()| Verdict::Pass))
}

/// A flow that is refused keeps its old mark: its next packet asks again, and passes once it may.
#[inline(always)]
fn again(state: &mut State, flow: &mut Flow) -> Result<(), Reason> {
    let twin = flow.translated.reversed();
    let is_reply = flow.flags & Flow::REPLY != 0;
    // The first packet as it was sent is the key of the entry that is no reply, and as delivered the answer to the
    // other's.
    state.delivered = if is_reply { state.packet.tuple.reversed() } else { flow.translated };
    let sender_set = match (flow.flags & Flow::OWN, is_reply) {
        (0, _) => 0,
        (_, true) => set_of(&twin.source),
        (_, false) => set_of(&state.packet.tuple.source),
    };
    let receiver_set = set_of(&state.delivered.destination);
    judge(state, sender_set, receiver_set)?;
    mark(flow, sender_set, state.epoch);
    if let Some(twin) = conntrack::get(&twin) {
        mark(twin, sender_set, state.epoch);
    }
    Ok(())
}

#[inline(always)]
fn mark(flow: &mut Flow, set: u32, epoch: u32) {
    flow.policy_set = set;
    flow.policy_epoch = epoch;
}

/// The policy set of an address.
#[inline(always)]
fn set_of(address: &Address) -> u32 {
    lookup::endpoint(address).map_or(0, |endpoint| endpoint.policy_set)
}
