//! Where each service port's backends lie in the flat array.
//!
//! A change of backends is written to a free range first; then one write of the service's entry turns to it,
//! so that a program sees the old set or the new one and never a mixture. The old range rests before it is
//! used again, longer than any program can run. Service ports with the same backends share a range: the many
//! addresses of one port cost no more than one.

mod ranges;

pub use ranges::Full;

use crate::tables::{ServicePort, Services};
use keelson_ebpf_abi::{Backend, Service, ServiceKey};
use ranges::Ranges;
use std::collections::{BTreeMap, BTreeSet};

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

/// What a change of the tables leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    /// The writes, in order.
    pub writes: Vec<ServiceWrite>,
    /// UDP backends that no service port has any more, with their protocol: flows to them lead nowhere.
    pub lost: BTreeSet<(Backend, u8)>,
}

/// Datagrams have no connection that would tell their sender of a backend that is gone.
const UDP: u8 = 17;

/// The state of the array.
#[derive(Clone, Debug)]
pub struct Placement {
    placed: BTreeMap<ServiceKey, Service>,
    ranges: Ranges,
    /// How many service ports have a UDP backend.
    uses: BTreeMap<Backend, u32>,
    next_id: u32,
}

impl Placement {
    /// An empty array.
    pub fn new(capacity: u32) -> Self {
        Self { placed: BTreeMap::new(), ranges: Ranges::new(capacity), uses: BTreeMap::new(), next_id: 1 }
    }

    /// The state that an earlier agent left in the maps.
    pub fn recover(capacity: u32, found: &[(ServiceKey, Service, Vec<Backend>)]) -> Self {
        let ranges =
            Ranges::recover(capacity, found.iter().map(|(_, service, backends)| (service.base, backends)));
        let next_id = found.iter().map(|(_, service, _)| service.id).max().unwrap_or(0) + 1;
        let mut placement = Self { placed: BTreeMap::new(), ranges, uses: BTreeMap::new(), next_id };
        for (key, service, backends) in found {
            placement.placed.insert(*key, *service);
            placement.used(key, backends);
        }
        placement
    }

    /// Plans the writes from what is placed to `desired`, and places it. On error nothing has changed.
    pub fn plan(&mut self, desired: &Services, now_ms: u64) -> Result<Planned, Full> {
        let gone = self.placed.keys().filter(|key| !desired.contains_key(key));
        let keys: Vec<ServiceKey> = desired.keys().chain(gone).copied().collect();
        self.plan_keys(desired, keys.iter(), now_ms)
    }

    /// The same where only these keys of `desired` can differ from what is placed.
    pub fn plan_keys<'a>(
        &mut self,
        desired: &Services,
        keys: impl Iterator<Item = &'a ServiceKey>,
        now_ms: u64,
    ) -> Result<Planned, Full> {
        self.ranges.wake(now_ms);
        let (mut writes, mut changes, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            let old = self.placed.get(key);
            let Some(port) = desired.get(key) else {
                gone.extend(old.map(|_| *key));
                continue;
            };
            if old.is_some_and(|service| self.holds(service, port)) {
                continue;
            }
            let id = old.map_or(self.next_id, |service| service.id);
            match self.place(id, port, &mut writes) {
                Ok(service) => changes.push((*key, service)),
                Err(full) => {
                    // Nothing of this plan has been written.
                    changes.iter().for_each(|(_, service)| self.ranges.give_up(service.base, service.count));
                    return Err(full);
                }
            }
        }
        writes.extend(changes.iter().map(|(key, service)| ServiceWrite::Put(*key, *service)));
        writes.extend(gone.iter().map(|key| ServiceWrite::Remove(*key)));
        Ok(Planned { writes, lost: self.commit(changes, gone, now_ms) })
    }

    /// Service ports placed.
    pub fn len(&self) -> usize {
        self.placed.len()
    }

    /// Whether nothing is placed.
    pub fn is_empty(&self) -> bool {
        self.placed.is_empty()
    }

    fn holds(&self, service: &Service, port: &ServicePort) -> bool {
        (service.flags, service.affinity_seconds) == (port.flags, port.affinity_seconds)
            && self.ranges.backends(service.base, service.count) == port.backends
    }

    fn place(
        &mut self,
        id: u32,
        port: &ServicePort,
        writes: &mut Vec<ServiceWrite>,
    ) -> Result<Service, Full> {
        let (base, is_new) = self.ranges.share(&port.name, &port.backends)?;
        if is_new {
            writes.push(ServiceWrite::Backends { base, backends: port.backends.clone() });
        }
        self.next_id = self.next_id.max(id + 1);
        let count = port.backends.len() as u32;
        Ok(Service { base, count, id, flags: port.flags, affinity_seconds: port.affinity_seconds })
    }

    /// Takes the planned state over; what is lost by it.
    fn commit(
        &mut self,
        changes: Vec<(ServiceKey, Service)>,
        gone: Vec<ServiceKey>,
        now_ms: u64,
    ) -> BTreeSet<(Backend, u8)> {
        let mut maybe_lost = BTreeSet::new();
        let mut old: Vec<(ServiceKey, Service)> = Vec::new();
        for (key, service) in changes {
            let backends = self.ranges.backends(service.base, service.count).to_vec();
            self.used(&key, &backends);
            old.extend(self.placed.insert(key, service).map(|service| (key, service)));
        }
        for key in gone {
            old.extend(self.placed.remove(&key).map(|service| (key, service)));
        }
        for (key, service) in old {
            let backends = self.ranges.backends(service.base, service.count).to_vec();
            maybe_lost.extend(self.unused(&key, &backends));
            self.ranges.release(service.base, service.count, now_ms);
        }
        maybe_lost.into_iter().map(|backend| (backend, UDP)).collect()
    }

    fn used(&mut self, key: &ServiceKey, backends: &[Backend]) {
        if key.protocol == UDP {
            backends.iter().for_each(|backend| *self.uses.entry(*backend).or_default() += 1);
        }
    }

    /// The backends that nothing has any more.
    fn unused(&mut self, key: &ServiceKey, backends: &[Backend]) -> Vec<Backend> {
        let mut lost = Vec::new();
        for backend in backends.iter().filter(|_| key.protocol == UDP) {
            if let Some(uses) = self.uses.get_mut(backend) {
                *uses -= 1;
                if *uses == 0 {
                    self.uses.remove(backend);
                    lost.push(*backend);
                }
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests;
