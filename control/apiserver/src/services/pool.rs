//! A range of numbers and who has which. Pure: randomness comes in as a number.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Who has a number.
#[derive(Debug)]
struct Holder {
    owner: Arc<str>,
    /// A stored object says so; otherwise a request in flight does.
    committed: bool,
    /// Rounds of repair that found no object behind it.
    missed: u8,
}

/// Numbers `first..=last`. The lowest ones are left to those who ask for a certain number, as long as there are
/// others.
#[derive(Debug)]
pub struct Pool {
    first: u32,
    last: u32,
    /// How many numbers, from the lowest on, are given without being asked for only when nothing else is left.
    band: u32,
    taken: HashMap<u32, Holder>,
}

impl Pool {
    pub fn new(first: u32, last: u32, band: u64) -> Self {
        let size = u64::from(last.saturating_sub(first)) + 1;
        let band = if band >= size { 0 } else { u32::try_from(band).unwrap_or(0) };
        Self { first, last: last.max(first), band, taken: HashMap::new() }
    }

    pub fn contains(&self, number: u32) -> bool {
        (self.first..=self.last).contains(&number)
    }

    /// Takes a certain number for a request in flight; false when it is taken or not in the range.
    pub fn take(&mut self, number: u32, owner: &Arc<str>) -> bool {
        if !self.contains(number) {
            return false;
        }
        match self.taken.entry(number) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(Holder { owner: Arc::clone(owner), committed: false, missed: 0 });
                true
            }
        }
    }

    /// Takes any free number; `random` chooses which.
    pub fn any(&mut self, random: u64, owner: &Arc<str>) -> Option<u32> {
        let start = self.first + self.band;
        let found = self
            .free_from(start, self.last, random)
            .or_else(|| if self.band == 0 { None } else { self.free_from(self.first, start - 1, random) })?;
        self.take(found, owner).then_some(found)
    }

    fn free_from(&self, low: u32, high: u32, random: u64) -> Option<u32> {
        let size = u64::from(high - low) + 1;
        (0..size)
            .map(|step| low + u32::try_from((random % size + step) % size).unwrap_or(0))
            .find(|number| !self.taken.contains_key(number))
    }

    /// A stored object has the number: that counts, unless another one has it already.
    pub fn adopt(&mut self, number: u32, owner: &Arc<str>) {
        let holder = Holder { owner: Arc::clone(owner), committed: true, missed: 0 };
        self.taken.entry(number).or_insert(holder);
    }

    /// The request has been stored.
    pub fn commit(&mut self, number: u32) {
        if let Some(holder) = self.taken.get_mut(&number) {
            holder.committed = true;
        }
    }

    /// Frees a number, if it is this owner's.
    pub fn free(&mut self, number: u32, owner: &Arc<str>) {
        if self.taken.get(&number).is_some_and(|holder| holder.owner == *owner) {
            self.taken.remove(&number);
        }
    }

    #[cfg(test)]
    pub fn owner(&self, number: u32) -> Option<&Arc<str>> {
        self.taken.get(&number).map(|holder| &holder.owner)
    }

    /// Frees numbers that no object has had for `rounds` calls; returns how many.
    pub fn sweep(&mut self, rounds: u8, has: impl Fn(u32) -> bool) -> usize {
        let before = self.taken.len();
        self.taken.retain(|number, holder| {
            if !holder.committed || has(*number) {
                holder.missed = 0;
                return true;
            }
            holder.missed += 1;
            holder.missed < rounds
        });
        before - self.taken.len()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.taken.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn gives_the_upper_band_first() {
        let mut pool = Pool::new(10, 19, 4);
        let mut got: Vec<u32> = (0..6).map(|i| pool.any(i * 7, &owner("a")).expect("free")).collect();
        got.sort_unstable();
        assert_eq!(got, [14, 15, 16, 17, 18, 19]);
        assert_eq!(pool.any(0, &owner("a")), Some(10));
        for _ in 0..3 {
            assert!(pool.any(5, &owner("a")).is_some_and(|n| n < 14));
        }
        assert_eq!(pool.any(0, &owner("a")), None);
    }

    #[test]
    fn frees_only_for_the_owner() {
        let mut pool = Pool::new(0, 9, 0);
        assert!(pool.take(3, &owner("a")));
        assert!(!pool.take(3, &owner("b")));
        assert!(!pool.take(10, &owner("b")));
        pool.free(3, &owner("b"));
        assert_eq!(pool.owner(3), Some(&owner("a")));
        pool.free(3, &owner("a"));
        assert!(pool.take(3, &owner("b")));
    }

    #[test]
    fn sweeps_what_nobody_has() {
        let mut pool = Pool::new(0, 9, 0);
        pool.take(1, &owner("flying"));
        pool.adopt(2, &owner("kept"));
        pool.adopt(3, &owner("leaked"));
        assert_eq!(pool.sweep(2, |n| n == 2), 0);
        assert_eq!(pool.sweep(2, |n| n == 2), 1);
        assert_eq!((pool.len(), pool.owner(3)), (2, None));
    }
}
