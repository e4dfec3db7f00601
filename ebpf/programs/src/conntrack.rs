//! Flows that exist: found, refreshed, expired on lookup.

use crate::maps;
use crate::parse::Packet;
use aya_ebpf::helpers::bpf_ktime_get_coarse_ns;
use keelson_ebpf_abi::{Flow, Tuple};

/// Coarse monotonic nanoseconds, the clock of every flow.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// The live flow that a packet belongs to. A SYN opens a new one where the old one is closing, or leads to a backend
/// that has left its service.
#[inline(always)]
pub fn find(packet: &Packet, now: u64) -> Option<&'static mut Flow> {
    let flow = get(&packet.tuple)?;
    let may_end = flow.flags & (Flow::CLOSED | Flow::LEFT) != 0;
    if flow.expired(packet.tuple.protocol, now) || (packet.is_syn() && may_end) {
        return None;
    }
    Some(flow)
}

/// Notes a packet of a flow. The common case writes nothing: only a change of state or a stale time does,
/// and then in both directions, so that a flow that speaks one way keeps its answer open.
#[inline(always)]
pub fn touch(flow: &mut Flow, packet: &Packet, now: u64) {
    let mut flags = flow.flags;
    if flags & Flow::REPLY != 0 {
        flags |= Flow::ANSWERED;
    }
    flags |= packet.closes();
    if flags == flow.flags && now.wrapping_sub(flow.seen_ns) < Flow::REFRESH_NS {
        return;
    }
    flow.flags = flags;
    flow.seen_ns = now;
    if let Some(twin) = get(&flow.translated.reversed()) {
        twin.flags |= Flow::seen_by_peer(flags);
        twin.seen_ns = now;
    }
}

/// An entry, alive or not.
#[inline(always)]
pub fn get(tuple: &Tuple) -> Option<&'static mut Flow> {
    // SAFETY: an entry of a preallocated map stays memory of that map; a concurrent writer can at worst
    // make a timestamp or a flag stale, which the next packet mends.
    maps::FLOWS.get_ptr_mut(tuple).map(|flow| unsafe { &mut *flow })
}
