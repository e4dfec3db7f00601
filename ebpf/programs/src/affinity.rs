//! The backend of a new flow or connection: any, or the one that the client has already.

use crate::consts::*;
use crate::{conntrack, lookup, maps};
use keelson_ebpf_abi::{Address, Affinity, AffinityKey, Backend, Member, Service};

/// A backend of the service for a client, by a number that the caller chooses; none when the service has none.
#[inline(always)]
pub fn backend(service: &Service, client: &Address, kind: u32, number: u32) -> Option<Backend> {
    if service.flags & Service::AFFINITY == 0 {
        return lookup::backend(service, number).copied();
    }
    let now = conntrack::now();
    let key = AffinityKey { client: *client, service: service.id, kind };
    if let Some(held) = held(service, &key, now) {
        return Some(held);
    }
    let backend = lookup::backend(service, number).copied()?;
    let chosen = Affinity { address: backend.address, port: backend.port, reserved: [0; 3], seen_ns: now };
    let _ = maps::AFFINITY.insert(&key, &chosen, MAP_ANY);
    Some(backend)
}

/// The backend that a client has, unless it was away for too long or the backend has left the service.
#[inline(always)]
fn held(service: &Service, key: &AffinityKey, now: u64) -> Option<Backend> {
    // SAFETY: an entry of a preallocated map stays memory of that map. When it is evicted meanwhile, what is read may
    // be another client's backend: a member of another service is refused below, one of this service will do.
    let entry = unsafe { &mut *maps::AFFINITY.get_ptr_mut(key)? };
    let limit_ns = u64::from(service.affinity_seconds) * SECOND_NS;
    if now.saturating_sub(entry.seen_ns) > limit_ns {
        return None;
    }
    let member = Member { address: entry.address, port: entry.port, reserved: 0, service: service.id };
    // SAFETY: only that it is there counts.
    unsafe { maps::MEMBERS.get(&member) }?;
    entry.seen_ns = now;
    Some(Backend { address: member.address, port: member.port, reserved: 0, flags: 0 })
}
