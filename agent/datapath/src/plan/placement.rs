//! Where each service port's backends lie in the flat array.
//!
//! A change of backends is written to a free range first; then one write of the service's entry turns to it,
//! so that a program sees the old set or the new one and never a mixture. The old range rests before it is
//! used again, longer than any program can run.

use crate::tables::{ServicePort, Services};
use keelson_ebpf_abi::{Backend, Service, ServiceKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One write, to be carried out in order.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceWrite {
    /// Fill a range of the backend array.
    Backends {
        /// Index of the first.
        base: u32,
        /// The backends.
        backends: Vec<Backend>,
    },
    /// Point a service at its range.
    Put(ServiceKey, Service),
    /// Remove a service.
    Remove(ServiceKey),
}

/// The backend array has no room: nothing was planned, the old state stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} has {wanted} backends and the table has room for {room} more in one piece")]
pub struct Full {
    /// The service port that did not fit.
    pub name: String,
    /// Its backends.
    pub wanted: u32,
    /// The largest free range.
    pub room: u32,
}

/// Milliseconds a released range rests.
const REST_MS: u64 = 1_000;

#[derive(Clone, Debug)]
struct Placed {
    service: Service,
    backends: Vec<Backend>,
}

impl Placed {
    fn holds(&self, port: &ServicePort) -> bool {
        let Service { flags, affinity_seconds, .. } = self.service;
        (flags, affinity_seconds) == (port.flags, port.affinity_seconds) && self.backends == port.backends
    }
}

/// The state of the array.
#[derive(Clone, Debug)]
pub struct Placement {
    capacity: u32,
    placed: BTreeMap<ServiceKey, Placed>,
    /// Free ranges by start, never adjacent.
    free: BTreeMap<u32, u32>,
    /// Released ranges and when.
    resting: Vec<(u32, u32, u64)>,
    next_id: u32,
}

impl Placement {
    /// An empty array.
    pub fn new(capacity: u32) -> Self {
        Self {
            capacity,
            placed: BTreeMap::new(),
            free: BTreeMap::from([(0, capacity)]),
            resting: Vec::new(),
            next_id: 1,
        }
    }

    /// The state that an earlier agent left in the maps.
    pub fn recover(capacity: u32, found: &[(ServiceKey, Service, Vec<Backend>)]) -> Self {
        let mut used: Vec<(u32, u32)> =
            found.iter().map(|(_, s, _)| (s.base, s.count)).filter(|(_, count)| *count > 0).collect();
        used.sort_unstable();
        let mut free = BTreeMap::new();
        let mut next = 0;
        for (base, count) in used {
            if base > next {
                free.insert(next, base - next);
            }
            next = next.max(base.saturating_add(count));
        }
        if next < capacity {
            free.insert(next, capacity - next);
        }
        let placed = found
            .iter()
            .map(|(key, service, backends)| (*key, Placed { service: *service, backends: backends.clone() }));
        let next_id = found.iter().map(|(_, service, _)| service.id).max().unwrap_or(0) + 1;
        Self { capacity, placed: placed.collect(), free, resting: Vec::new(), next_id }
    }

    /// Plans the writes from what is placed to `desired`, and places it. On error nothing has changed.
    pub fn plan(&mut self, desired: &Services, now_ms: u64) -> Result<Vec<ServiceWrite>, Full> {
        let mut next = self.clone_ranges();
        let mut writes = Vec::new();
        next.wake(now_ms);
        let mut changes = Vec::new();
        for (key, port) in desired {
            if self.placed.get(key).is_some_and(|placed| placed.holds(port)) {
                continue;
            }
            let service = next.place(self.placed.get(key), port)?;
            if service.count > 0 {
                let backends = port.backends.clone();
                writes.push(ServiceWrite::Backends { base: service.base, backends });
            }
            writes.push(ServiceWrite::Put(*key, service));
            changes.push((*key, Placed { service, backends: port.backends.clone() }));
        }
        let gone: Vec<_> = self.placed.keys().filter(|key| !desired.contains_key(key)).copied().collect();
        writes.extend(gone.iter().map(|key| ServiceWrite::Remove(*key)));
        (self.free, self.resting, self.next_id) = (next.free, next.resting, next.next_id);
        for key in gone {
            let old = self.placed.remove(&key);
            self.release(old, now_ms);
        }
        for (key, placed) in changes {
            let old = self.placed.insert(key, placed);
            self.release(old, now_ms);
        }
        Ok(writes)
    }

    /// Backends that `desired` no longer has anywhere: flows to them lead nowhere.
    pub fn lost(&self, desired: &Services) -> BTreeSet<(Backend, u8)> {
        let all = |services: &mut dyn Iterator<Item = (u8, &Vec<Backend>)>| -> BTreeSet<(Backend, u8)> {
            services.flat_map(|(protocol, list)| list.iter().map(move |b| (*b, protocol))).collect()
        };
        let before = all(&mut self.placed.iter().map(|(key, placed)| (key.protocol, &placed.backends)));
        let after = all(&mut desired.iter().map(|(key, port)| (key.protocol, &port.backends)));
        before.difference(&after).copied().collect()
    }

    /// Service ports placed.
    pub fn len(&self) -> usize {
        self.placed.len()
    }

    /// Whether nothing is placed.
    pub fn is_empty(&self) -> bool {
        self.placed.is_empty()
    }

    fn clone_ranges(&self) -> Self {
        Self {
            capacity: self.capacity,
            placed: BTreeMap::new(),
            free: self.free.clone(),
            resting: self.resting.clone(),
            next_id: self.next_id,
        }
    }

    fn place(&mut self, old: Option<&Placed>, port: &Arc<ServicePort>) -> Result<Service, Full> {
        let count = port.backends.len() as u32;
        let base = self.take(count).ok_or_else(|| Full {
            name: port.name.clone(),
            wanted: count,
            room: self.free.values().copied().max().unwrap_or(0),
        })?;
        let id = old.map_or(self.next_id, |old| old.service.id);
        self.next_id = self.next_id.max(id + 1);
        Ok(Service { base, count, id, flags: port.flags, affinity_seconds: port.affinity_seconds })
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        if count == 0 {
            return Some(0);
        }
        let (start, len) = self.free.iter().find(|(_, len)| **len >= count).map(|(s, l)| (*s, *l))?;
        self.free.remove(&start);
        if len > count {
            self.free.insert(start + count, len - count);
        }
        Some(start)
    }

    fn release(&mut self, old: Option<Placed>, now_ms: u64) {
        if let Some(old) = old.filter(|old| old.service.count > 0) {
            self.resting.push((old.service.base, old.service.count, now_ms));
        }
    }

    /// Frees the ranges that have rested.
    fn wake(&mut self, now_ms: u64) {
        let rested = |(_, _, since): &(u32, u32, u64)| now_ms.saturating_sub(*since) >= REST_MS;
        let (awake, resting): (Vec<_>, Vec<_>) = self.resting.iter().partition(|range| rested(range));
        self.resting = resting;
        for (base, count, _) in awake {
            self.give_back(base, count);
        }
    }

    fn give_back(&mut self, mut base: u32, mut count: u32) {
        if let Some((start, len)) = self.free.range(..base).next_back().map(|(s, l)| (*s, *l))
            && start + len == base
        {
            self.free.remove(&start);
            (base, count) = (start, len + count);
        }
        if let Some(len) = self.free.remove(&(base + count)) {
            count += len;
        }
        self.free.insert(base, count);
    }
}

#[cfg(test)]
mod tests;
