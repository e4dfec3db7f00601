//! A bounded map of what was verified before, so that a signature is checked once per token and not per request.

use parking_lot::Mutex;
use rapidhash::RapidHashMap;
use std::mem;
use std::sync::Arc;

/// Two generations: what was not used while one filled up is dropped with the older one.
pub(super) struct Cache<T> {
    generation: usize,
    state: Mutex<Generations<T>>,
}

type Key = [u8; 32];

struct Generations<T> {
    young: RapidHashMap<Key, Arc<T>>,
    old: RapidHashMap<Key, Arc<T>>,
}

impl<T> Cache<T> {
    /// Holds at most `2 * generation` entries.
    pub(super) fn new(generation: usize) -> Self {
        let state = Generations { young: RapidHashMap::default(), old: RapidHashMap::default() };
        Self { generation, state: Mutex::new(state) }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<T>> {
        let mut state = self.state.lock();
        if let Some(found) = state.young.get(key) {
            return Some(found.clone());
        }
        let found = state.old.remove(key)?;
        state.insert(*key, found.clone(), self.generation);
        Some(found)
    }

    pub(super) fn insert(&self, key: Key, value: Arc<T>) {
        self.state.lock().insert(key, value, self.generation);
    }

    pub(super) fn remove(&self, key: &Key) {
        let mut state = self.state.lock();
        state.young.remove(key);
        state.old.remove(key);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let state = self.state.lock();
        state.young.len() + state.old.len()
    }
}

impl<T> Generations<T> {
    fn insert(&mut self, key: Key, value: Arc<T>, generation: usize) {
        if self.young.len() >= generation {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_bounded_and_keeps_what_is_used() {
        let cache = Cache::new(10);
        let key = |n: u32| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_be_bytes());
            key
        };
        cache.insert(key(0), Arc::new(0));
        for n in 1..1000 {
            cache.insert(key(n), Arc::new(n));
            assert_eq!(cache.get(&key(0)).as_deref(), Some(&0), "used after {n}");
            assert!(cache.len() <= 20);
        }
        assert!(cache.get(&key(500)).is_none());
        cache.remove(&key(0));
        assert!(cache.get(&key(0)).is_none());
    }
}
