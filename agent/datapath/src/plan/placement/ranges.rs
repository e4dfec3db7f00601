//! Ranges of the backend array: shared by equal content, taken from what is free, rested before they are used again.

use keelson_ebpf_abi::Backend;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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
struct Used {
    backends: Arc<[Backend]>,
    users: u32,
}

/// The array by ranges. A range without backends has no place in it.
#[derive(Clone, Debug)]
pub(super) struct Ranges {
    used: BTreeMap<u32, Used>,
    by_content: HashMap<Arc<[Backend]>, u32>,
    /// Free ranges by start, never adjacent.
    free: BTreeMap<u32, u32>,
    /// Released ranges and when.
    resting: Vec<(u32, u32, u64)>,
}

impl Ranges {
    /// An empty array.
    pub(super) fn new(capacity: u32) -> Self {
        let free = BTreeMap::from([(0, capacity)]);
        Self { used: BTreeMap::new(), by_content: HashMap::new(), free, resting: Vec::new() }
    }

    /// The array with what users have been found to have at which base.
    pub(super) fn recover<'a>(capacity: u32, found: impl Iterator<Item = (u32, &'a Vec<Backend>)>) -> Self {
        let mut ranges = Self::new(capacity);
        for (base, backends) in found.filter(|(_, backends)| !backends.is_empty()) {
            let backends: Arc<[Backend]> = backends.as_slice().into();
            let used =
                ranges.used.entry(base).or_insert_with(|| Used { backends: backends.clone(), users: 0 });
            used.users += 1;
            ranges.by_content.insert(backends, base);
        }
        ranges.free.clear();
        let mut next = 0;
        for (base, used) in &ranges.used {
            if *base > next {
                ranges.free.insert(next, base - next);
            }
            next = next.max(base.saturating_add(used.backends.len() as u32));
        }
        if next < capacity {
            ranges.free.insert(next, capacity - next);
        }
        ranges
    }

    /// What lies at a base.
    pub(super) fn backends(&self, base: u32, count: u32) -> &[Backend] {
        let used = if count == 0 { None } else { self.used.get(&base) };
        used.map_or(&[], |used| &used.backends)
    }

    /// A range with these backends for one more user, and whether it has to be written first.
    pub(super) fn share(&mut self, name: &str, backends: &[Backend]) -> Result<(u32, bool), Full> {
        if backends.is_empty() {
            return Ok((0, false));
        }
        if let Some((base, used)) =
            self.by_content.get(backends).and_then(|base| Some((*base, self.used.get_mut(base)?)))
        {
            used.users += 1;
            return Ok((base, false));
        }
        let wanted = backends.len() as u32;
        let base = self.take(wanted).ok_or_else(|| Full {
            name: name.to_owned(),
            wanted,
            room: self.free.values().copied().max().unwrap_or(0),
        })?;
        let backends: Arc<[Backend]> = backends.into();
        self.by_content.insert(backends.clone(), base);
        self.used.insert(base, Used { backends, users: 1 });
        Ok((base, true))
    }

    /// Takes back a share that was never written.
    pub(super) fn give_up(&mut self, base: u32, count: u32) {
        if self.leave(base, count) {
            self.give_back(base, count);
        }
    }

    /// One user less; the last one's range rests.
    pub(super) fn release(&mut self, base: u32, count: u32, now_ms: u64) {
        if self.leave(base, count) {
            self.resting.push((base, count, now_ms));
        }
    }

    /// Whether that was the last user.
    fn leave(&mut self, base: u32, count: u32) -> bool {
        let Some(used) = self.used.get_mut(&base).filter(|_| count > 0) else { return false };
        used.users -= 1;
        if used.users > 0 {
            return false;
        }
        if let Some(used) = self.used.remove(&base)
            && self.by_content.get(&used.backends) == Some(&base)
        {
            self.by_content.remove(&used.backends);
        }
        true
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        let (start, len) = self.free.iter().find(|(_, len)| **len >= count).map(|(s, l)| (*s, *l))?;
        self.free.remove(&start);
        if len > count {
            self.free.insert(start + count, len - count);
        }
        Some(start)
    }

    /// Frees the ranges that have rested.
    pub(super) fn wake(&mut self, now_ms: u64) {
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
