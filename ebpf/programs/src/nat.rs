//! New flows: both entries written, a source port found where the answer's tuple must be free.

use crate::conntrack;
use crate::consts::*;
use crate::maps;
use crate::state::State;
use keelson_ebpf_abi::{Be16, Config, Flow, Reason, Tuple};

/// Opens the flow of `state`. With `masquerade` the source port comes from the range that local sockets do
/// not use; otherwise it is kept unless another flow has that answer, and where there is none to change
/// (`portable`) the flow is refused.
#[inline(always)]
pub fn open(config: &Config, state: &mut State, masquerade: bool, portable: bool) -> Result<(), Reason> {
    let seed = mix(&state.packet.tuple);
    state.reply = state.flow;
    state.reply.translated = state.packet.tuple.reversed();
    state.reply.flags |= Flow::REPLY;
    let mut claimed = Err(Reason::NoNatPort);
    for attempt in 0..NAT_TRIES {
        if masquerade || attempt > 0 {
            state.flow.translated.source_port = port(config, seed.wrapping_add(attempt));
        }
        state.reply_key = state.flow.translated.reversed();
        claimed = claim(state);
        if claimed != Err(Reason::NoNatPort) || !portable {
            break;
        }
    }
    claimed?;
    if maps::FLOWS.insert(&state.packet.tuple, &state.flow, MAP_ANY).is_err() {
        let _ = maps::FLOWS.remove(&state.reply_key);
        return Err(Reason::FlowsFull);
    }
    Ok(())
}

/// Writes the reply entry, unless a live flow has it.
#[inline(always)]
fn claim(state: &State) -> Result<(), Reason> {
    match maps::FLOWS.insert(&state.reply_key, &state.reply, MAP_NO_EXIST) {
        Ok(()) => Ok(()),
        Err(EEXIST) => replace(state),
        Err(_) => Err(Reason::FlowsFull),
    }
}

/// Takes over the reply entry of a dead flow, or of this flow's own predecessor.
#[inline(always)]
fn replace(state: &State) -> Result<(), Reason> {
    if let Some(existing) = conntrack::get(&state.reply_key)
        && existing.translated != state.reply.translated
        && !existing.expired(state.packet.tuple.protocol, state.reply.seen_ns)
    {
        return Err(Reason::NoNatPort);
    }
    maps::FLOWS.insert(&state.reply_key, &state.reply, MAP_ANY).map_err(|_| Reason::FlowsFull)
}

#[inline(always)]
fn port(config: &Config, number: u32) -> Be16 {
    let count = if config.nat_count == 0 { 1 } else { u32::from(config.nat_count) };
    Be16::new(config.nat_first.wrapping_add((number % count) as u16))
}

/// Spreads flows over the ports.
#[inline(always)]
fn mix(tuple: &Tuple) -> u32 {
    let ports = u32::from(tuple.source_port.wire()) << 16 | u32::from(tuple.destination_port.wire());
    let words = tuple.source.v4_word().rotate_left(13) ^ tuple.destination.v4_word() ^ ports;
    words.wrapping_mul(0x9e37_79b1) >> 7
}
