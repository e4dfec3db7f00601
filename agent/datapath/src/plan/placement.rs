//! Where each service port's backends lie in the flat array.
//!
//! A change of backends is written to a free range first; then one write of the service's entry turns to it,
//! so that a program sees the old set or the new one and never a mixture. The old range rests before it is
//! used again, longer than any program can run. Service ports with the same backends share a range: the many
//! addresses of one port cost no more than one.

mod ranges;

pub use ranges::Full;

use crate::tables::{ServicePort, Services};
use keelson_ebpf_abi::{Backend, Member, Service, ServiceKey};
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
    /// Backends that service ports no longer have: flows to them are not to go on for ever.
    pub lost: BTreeSet<Lost>,
    /// Backends that services with session affinity have got.
    pub joined: Vec<Member>,
    /// Backends that services with session affinity no longer have, or no longer with affinity.
    pub left: Vec<Member>,
}

/// A backend that a service port no longer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// [`Service::id`].
    pub service: u32,
    /// IANA protocol number.
    pub protocol: u8,
    /// The backend.
    pub backend: Backend,
}

/// The state of the array.
#[derive(Clone, Debug)]
pub struct Placement {
    placed: BTreeMap<ServiceKey, Service>,
    ranges: Ranges,
    next_id: u32,
}

impl Placement {
    /// An empty array.
    pub fn new(capacity: u32) -> Self {
        Self { placed: BTreeMap::new(), ranges: Ranges::new(capacity), next_id: 1 }
    }

    /// The state that an earlier agent left in the maps.
    pub fn recover(capacity: u32, found: &[(ServiceKey, Service, Vec<Backend>)]) -> Self {
        let ranges =
            Ranges::recover(capacity, found.iter().map(|(_, service, backends)| (service.base, backends)));
        let next_id = found.iter().map(|(_, service, _)| service.id).max().unwrap_or(0) + 1;
        let placed = found.iter().map(|(key, service, _)| (*key, *service)).collect();
        Self { placed, ranges, next_id }
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
        let mut planned = Planned { writes, ..Planned::default() };
        self.commit(changes, gone, now_ms, &mut planned);
        Ok(planned)
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

    /// Takes the planned state over, and says what it changes for clients.
    fn commit(
        &mut self,
        changes: Vec<(ServiceKey, Service)>,
        gone: Vec<ServiceKey>,
        now_ms: u64,
        planned: &mut Planned,
    ) {
        let changes = changes.into_iter().map(|(key, service)| (key, Some(service)));
        for (key, new) in changes.chain(gone.into_iter().map(|key| (key, None))) {
            let old = match new {
                Some(service) => self.placed.insert(key, service),
                None => self.placed.remove(&key),
            };
            let backends = |service: Option<Service>| {
                service.map_or(&[][..], |service| self.ranges.backends(service.base, service.count))
            };
            note(key.protocol, (old, backends(old)), (new, backends(new)), planned);
            if let Some(old) = old {
                self.ranges.release(old.base, old.count, now_ms);
            }
        }
    }
}

/// What becomes of a service port's backends.
fn note(
    protocol: u8,
    (old, had): (Option<Service>, &[Backend]),
    (new, has): (Option<Service>, &[Backend]),
    planned: &mut Planned,
) {
    let members = |service: Option<Service>, backends: &[Backend]| {
        let service = service.filter(|service| service.flags & Service::AFFINITY != 0);
        let member = |id, b: &Backend| Member { address: b.address, port: b.port, reserved: 0, service: id };
        service.map_or(BTreeSet::new(), |service| backends.iter().map(|b| member(service.id, b)).collect())
    };
    let (before, after) = (members(old, had), members(new, has));
    planned.joined.extend(after.difference(&before));
    planned.left.extend(before.difference(&after));
    if let Some(old) = old {
        let gone = had.iter().filter(|backend| has.binary_search(backend).is_err());
        planned.lost.extend(gone.map(|backend| Lost { service: old.id, protocol, backend: *backend }));
    }
}

#[cfg(test)]
mod tests;
