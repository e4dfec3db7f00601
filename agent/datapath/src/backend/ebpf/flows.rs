//! The flow table from user space: expired flows swept, flows that lead nowhere forgotten.

use super::map::Map;
use crate::plan::Lost;
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

    /// The backend of the flow, if a service has turned it to one.
    fn backend(&self) -> Option<(u32, Address, Be16)> {
        let (address, port) = if self.flow.flags & Flow::REPLY == 0 {
            (self.flow.translated.destination, self.flow.translated.destination_port)
        } else {
            (self.tuple.source, self.tuple.source_port)
        };
        (self.flow.service != 0).then_some((self.flow.service, address, port))
    }
}

/// IANA protocol numbers.
pub const UDP: u8 = 17;
const TCP: u8 = 6;

/// Backends that have left services.
pub struct Left(BTreeSet<(u32, Address, Be16)>);

impl Left {
    /// Takes the services and their backends.
    pub fn new<'a>(lost: impl Iterator<Item = &'a Lost>) -> Self {
        Self(lost.map(|lost| (lost.service, lost.backend.address, lost.backend.port)).collect())
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the entry's flow leads to one of them.
    pub fn has(&self, entry: &Entry<'_>) -> bool {
        !self.is_empty() && entry.backend().is_some_and(|backend| self.0.contains(&backend))
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

/// Removes entries that are expired, and what sends datagrams to backends that have left. A TCP connection goes on
/// with such a backend, which may still serve it; its next one must not.
pub fn sweep(flows: &Map<Tuple, Flow>, now_ns: u64, left: &Left) -> io::Result<Swept> {
    let (mut live, mut marked) = (0, Vec::new());
    let removed = forget(flows, |entry| {
        let has_left = left.has(entry);
        let doomed =
            entry.flow.expired(entry.tuple.protocol, now_ns) || has_left && entry.tuple.protocol == UDP;
        live += usize::from(!doomed);
        if has_left && !doomed && entry.tuple.protocol == TCP && entry.flow.flags & Flow::REPLY == 0 {
            marked.push(*entry.tuple);
        }
        doomed
    })?;
    for tuple in &marked {
        if let Some(flow) = flows.get(tuple)? {
            flows.replace(tuple, &Flow { flags: flow.flags | Flow::LEFT, ..flow })?;
        }
    }
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
