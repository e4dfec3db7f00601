//! The flow table from user space: expired flows swept, flows that lead nowhere forgotten.

use super::map::Map;
use keelson_ebpf_abi::{Address, Be16, Flow, Tuple};
use std::collections::BTreeSet;
use std::io;

/// One entry under examination.
pub struct Entry<'a> {
    tuple: &'a Tuple,
    flow: &'a Flow,
}

impl Entry<'_> {
    /// Whether a packet of this entry comes from, goes to or becomes an address.
    pub fn touches(&self, address: Address) -> bool {
        let ends = [&self.tuple.source, &self.tuple.destination];
        let translated = [&self.flow.translated.source, &self.flow.translated.destination];
        ends.into_iter().chain(translated).any(|end| *end == address)
    }

    /// Whether it is a flow that a service turned to one of these backends.
    pub fn to_backend(&self, backends: &BTreeSet<(Address, Be16)>) -> bool {
        let (address, port) = if self.flow.flags & Flow::REPLY == 0 {
            (self.flow.translated.destination, self.flow.translated.destination_port)
        } else {
            (self.tuple.source, self.tuple.source_port)
        };
        self.flow.service != 0 && backends.contains(&(address, port))
    }
}

/// What a pass found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Entries that live.
    pub live: usize,
    /// Entries removed.
    pub removed: usize,
}

/// Removes entries that are expired.
pub fn sweep(flows: &Map<Tuple, Flow>, now_ns: u64) -> io::Result<Swept> {
    let mut live = 0;
    let removed = forget(flows, |entry| {
        let expired = entry.flow.expired(entry.tuple.protocol, now_ns);
        live += usize::from(!expired);
        expired
    })?;
    Ok(Swept { live, removed })
}

/// Removes the entries that `doomed` names.
pub fn forget(flows: &Map<Tuple, Flow>, mut doomed: impl FnMut(&Entry<'_>) -> bool) -> io::Result<usize> {
    let mut keys = Vec::new();
    flows.visit(|tuple, flow| {
        if doomed(&Entry { tuple, flow }) {
            keys.push(*tuple);
        }
    })?;
    for key in &keys {
        flows.remove(key)?;
    }
    Ok(keys.len())
}

/// The clock of the flows: monotonic nanoseconds.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes the struct that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
