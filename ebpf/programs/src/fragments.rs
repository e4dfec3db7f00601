//! Datagrams in pieces: only the first one names its ports, so those are kept for the others.

use crate::consts::*;
use crate::maps;
use crate::parse::Packet;
use keelson_ebpf_abi::{Fragment, FragmentKey, Reason};

/// Keeps the ports of a first fragment.
#[inline(always)]
pub fn remember(packet: &Packet, now: u64) {
    if packet.fragment != Packet::FIRST {
        return;
    }
    let fragment = Fragment {
        seen_ns: now,
        source_port: packet.tuple.source_port,
        destination_port: packet.tuple.destination_port,
        reserved: 0,
    };
    let _ = maps::FRAGMENTS.insert(&key(packet), &fragment, MAP_ANY);
}

/// Gives a later fragment its ports; refuses it when the first one has not been seen.
#[inline(always)]
pub fn complete(packet: &mut Packet, now: u64) -> Result<(), Reason> {
    if !packet.is_later() {
        return Ok(());
    }
    // SAFETY: the entry is copied at once; one that is evicted meanwhile names ports of another datagram, and the
    // fragment then belongs to no flow or is not taken by its receiver.
    let first = unsafe { maps::FRAGMENTS.get(&key(packet)) }.ok_or(Reason::Fragment)?;
    if now.saturating_sub(first.seen_ns) > Fragment::LIFE_NS {
        return Err(Reason::Fragment);
    }
    packet.tuple.source_port = first.source_port;
    packet.tuple.destination_port = first.destination_port;
    Ok(())
}

#[inline(always)]
fn key(packet: &Packet) -> FragmentKey {
    FragmentKey {
        source: packet.tuple.source,
        destination: packet.tuple.destination,
        identification: packet.identification,
        protocol: packet.tuple.protocol,
        reserved: 0,
    }
}
