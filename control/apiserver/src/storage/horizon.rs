//! How far back the pages of a list may reach. A continue token names the revision that all pages show; each page
//! after the first reads that past state anew, from disk once it is old. So a token ends some time after its state
//! was overtaken, as in Kubernetes, where etcd's compaction (every 5 minutes) ends it, and the client is told how to
//! go on with what is current. Only tokens end: watches and exact reads have whatever the store keeps.

use crate::server::Core;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// Times at which the revision is noted within one life of a token; a token lives up to that part longer.
const NOTES: u32 = 10;

/// Which revisions are too old for continue tokens.
pub struct Horizon {
    ttl: Duration,
    /// What the store's revision was, oldest first; only the first is older than `ttl`.
    notes: Mutex<VecDeque<(Instant, u64)>>,
}

impl Horizon {
    /// Nothing is too old before `ttl` has gone by.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, notes: Mutex::default() }
    }

    /// Takes down that `revision` is the store's at `now`.
    pub fn note(&self, now: Instant, revision: u64) {
        let mut notes = self.notes.lock();
        notes.push_back((now, revision));
        while notes.get(1).is_some_and(|(at, _)| self.is_old(now, *at)) {
            notes.pop_front();
        }
    }

    /// Whether a later revision than this one was already there a token's life ago. A state that is still current,
    /// or was until lately, is not old, whenever it came about.
    pub fn has_passed(&self, now: Instant, revision: u64) -> bool {
        let notes = self.notes.lock();
        notes.iter().any(|(at, then)| self.is_old(now, *at) && revision < *then)
    }

    fn is_old(&self, now: Instant, at: Instant) -> bool {
        now.saturating_duration_since(at) >= self.ttl
    }
}

/// Keeps the notes until shutdown begins.
pub async fn run(core: Arc<Core>) {
    let mut tick = tokio::time::interval((core.horizon.ttl / NOTES).max(Duration::from_millis(1)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let keep = async {
        loop {
            tick.tick().await;
            core.horizon.note(Instant::now(), core.store.revision());
        }
    };
    core.shutdown.run_until_cancelled(keep).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_passed() {
        let horizon = Horizon::new(Duration::from_secs(300));
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let check = |now: u64, revision: u64, want: bool| {
            assert_eq!(horizon.has_passed(at(now), revision), want, "{revision} at {now}");
        };
        check(0, 0, false);
        for (seconds, revision) in [(0, 10), (30, 10), (60, 20), (90, 20)] {
            horizon.note(at(seconds), revision);
        }
        // Overtaken before the first note.
        check(299, 9, false);
        check(300, 9, true);
        // Current when the first was taken, overtaken by the one at 60.
        check(300, 10, false);
        check(359, 10, false);
        check(360, 10, true);
        // Current.
        check(10_000, 20, false);
        check(10_000, 21, false);
    }

    #[test]
    fn notes_are_few() {
        let horizon = Horizon::new(Duration::from_secs(300));
        let begin = Instant::now();
        for n in 0..1000 {
            let now = begin + Duration::from_secs(30 * n);
            horizon.note(now, n);
            assert!(horizon.notes.lock().len() <= NOTES as usize + 1);
            if n >= u64::from(NOTES) {
                let oldest = n - u64::from(NOTES);
                assert!(!horizon.has_passed(now, oldest), "{n}");
                assert!(oldest == 0 || horizon.has_passed(now, oldest - 1), "{n}");
            }
        }
    }
}
