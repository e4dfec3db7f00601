//! The queue's rules without time or waking: time is an input.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

const RETRY_FIRST: Duration = Duration::from_millis(5);
const RETRY_MAX: Duration = Duration::from_secs(30);

pub(super) struct Core<K> {
    /// Keys in order of arrival.
    ready: VecDeque<K>,
    /// Keys that need work: those in `ready` and those that were added while being worked on.
    dirty: HashSet<K>,
    processing: HashSet<K>,
    delayed: BTreeSet<(Duration, K)>,
    due: HashMap<K, Duration>,
    retries: HashMap<K, u32>,
    closed: bool,
}

impl<K: Eq + Hash + Clone + Ord> Core<K> {
    pub(super) fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashSet::new(),
            delayed: BTreeSet::new(),
            due: HashMap::new(),
            retries: HashMap::new(),
            closed: false,
        }
    }

    /// True when a key became ready.
    pub(super) fn add(&mut self, key: K) -> bool {
        if !self.dirty.insert(key.clone()) || self.processing.contains(&key) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    pub(super) fn add_after(&mut self, key: K, due: Duration) {
        if let Some(known) = self.due.get(&key) {
            if *known <= due {
                return;
            }
            self.delayed.remove(&(*known, key.clone()));
        }
        self.due.insert(key.clone(), due);
        self.delayed.insert((due, key));
    }

    pub(super) fn retry(&mut self, key: K, now: Duration) {
        let retries = self.retries.entry(key.clone()).or_insert(0);
        let delay = RETRY_FIRST.saturating_mul(1 << (*retries).min(20)).min(RETRY_MAX);
        *retries += 1;
        self.add_after(key, now + delay);
    }

    pub(super) fn forget(&mut self, key: &K) {
        self.retries.remove(key);
    }

    /// Moves what is due to the ready keys.
    pub(super) fn tick(&mut self, now: Duration) {
        while let Some((due, _)) = self.delayed.first() {
            if *due > now {
                return;
            }
            if let Some((_, key)) = self.delayed.pop_first() {
                self.due.remove(&key);
                self.add(key);
            }
        }
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.delayed.first().map(|(due, _)| *due)
    }

    pub(super) fn pop(&mut self) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.dirty.remove(&key);
        self.processing.insert(key.clone());
        Some(key)
    }

    /// True when the key became ready again.
    pub(super) fn done(&mut self, key: &K) -> bool {
        let held = self.processing.remove(key);
        let again = held && self.dirty.contains(key);
        if again {
            self.ready.push_back(key.clone());
        }
        again
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn pending(&self) -> HashSet<K> {
        self.processing.union(&self.dirty).cloned().collect()
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_key_waits_once_and_is_worked_on_once() {
        let mut core = Core::new();
        assert!(core.add("a"));
        assert!(!core.add("a"));
        assert!(core.add("b"));
        assert_eq!(core.pop(), Some("a"));
        assert!(!core.add("a"), "being worked on");
        assert_eq!(core.pop(), Some("b"));
        assert_eq!(core.pop(), None);
        assert!(core.done(&"a"));
        assert!(!core.done(&"b"));
        assert_eq!(core.pop(), Some("a"));
        assert!(!core.done(&"never taken"));
    }

    #[test]
    fn the_shortest_delay_counts() {
        let mut core = Core::new();
        core.add_after("a", at(50));
        core.add_after("a", at(80));
        core.add_after("a", at(20));
        assert_eq!(core.next_due(), Some(at(20)));
        core.tick(at(19));
        assert_eq!(core.pop(), None);
        core.tick(at(20));
        assert_eq!(core.pop(), Some("a"));
        assert_eq!(core.next_due(), None);
    }

    #[test]
    fn retries_back_off_until_forgotten() {
        let mut core = Core::new();
        let mut delays = Vec::new();
        for _ in 0..16 {
            core.retry("a", at(0));
            delays.push(core.next_due().unwrap().as_millis());
            core.tick(at(1_000_000));
            core.pop();
            core.done(&"a");
        }
        assert_eq!(delays[..4], [5, 10, 20, 40]);
        assert_eq!(delays[15], 30_000);
        core.forget(&"a");
        core.retry("a", at(0));
        assert_eq!(core.next_due(), Some(at(5)));
    }
}
