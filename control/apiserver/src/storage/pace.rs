//! When the watchers of a kind are woken. A wake-up costs a watcher its turn, a TLS record and its share of a system
//! call, whatever it brings: with many watchers, events that come close together are delivered together. The first
//! event after a pause goes out at once, and so does every event of a kind that few watch.

use keelson_store::{Changes, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The pause that every watcher adds between two wake-ups. Waking one costs about 15 us of CPU when it has a
/// connection of its own (the turns of its stream and its connection, a TLS record, a system call that goes through
/// the whole network), less when it shares one: wake-ups take less than half a core.
const PER_WATCHER: Duration = Duration::from_micros(40);
/// The longest pause: what an event may come later than it could.
const LONGEST: Duration = Duration::from_millis(8);
/// Timers are no finer than this; a shorter pause is none.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long after a wake-up of `watchers` the next one may come.
fn pause(watchers: usize) -> Duration {
    let watchers = u32::try_from(watchers).unwrap_or(u32::MAX);
    let pause = PER_WATCHER.saturating_mul(watchers).min(LONGEST);
    if pause < SHORTEST { Duration::ZERO } else { pause }
}

/// What watchers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Events up to this revision may be delivered.
    pub upto: u64,
    /// More may come.
    pub open: bool,
}

/// Wakes the watchers of one kind.
pub struct Pace {
    ticks: watch::Sender<Tick>,
    running: AtomicBool,
}

/// A watcher's end of it.
pub struct Ticks {
    ticks: watch::Receiver<Tick>,
    /// What there was when the watcher came, of which no tick will tell.
    least: u64,
}

impl Pace {
    pub fn new() -> Arc<Self> {
        let ticks = watch::Sender::new(Tick { upto: 0, open: true });
        Arc::new(Self { ticks, running: AtomicBool::new(false) })
    }

    /// Wakes a watcher of this kind from now on. What has happened before may be delivered at once.
    pub fn follow(self: &Arc<Self>, store: &Store, kind: &str, shutdown: &CancellationToken) -> Ticks {
        let ticks = self.ticks.subscribe();
        let mut changes = store.changes(kind);
        // Read after the subscription: what comes later is told by a tick.
        let least = changes.newest();
        if !self.running.swap(true, Ordering::AcqRel) {
            tokio::spawn(run(Arc::clone(self), changes, shutdown.clone()));
        }
        Ticks { ticks, least }
    }

    /// Wakes all watchers; how many there are.
    fn tick(&self, tick: Tick) -> usize {
        self.ticks.send_replace(tick);
        self.ticks.receiver_count()
    }
}

impl Ticks {
    /// What may be delivered now; [`Ticks::changed`] then waits for more than this.
    pub fn take(&mut self) -> Tick {
        let tick = *self.ticks.borrow_and_update();
        // At the end everything that is left goes out.
        let upto = if tick.open { tick.upto.max(self.least) } else { u64::MAX };
        Tick { upto, ..tick }
    }

    /// Waits for the next tick.
    pub async fn changed(&mut self) {
        // The sender lives as long as its kind, which the watch holds.
        let _ = self.ticks.changed().await;
    }
}

/// Wakes watchers until the store is closed or shutdown begins.
async fn run(pace: Arc<Pace>, mut changes: Changes, shutdown: CancellationToken) {
    let mut due = Instant::now();
    while shutdown.run_until_cancelled(next(&mut changes, due)).await == Some(true) {
        let now = Instant::now();
        let watchers = pace.tick(Tick { upto: changes.newest(), open: true });
        due = now + pause(watchers);
    }
    pace.tick(Tick { upto: u64::MAX, open: false });
}

/// Waits for events, and until `due`; false when there will be none.
async fn next(changes: &mut Changes, due: Instant) -> bool {
    if changes.changed().await.is_err() {
        return false;
    }
    if due > Instant::now() {
        tokio::time::sleep_until(due).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use keelson_store::{Expect, Options, Outcome, Template, Write};

    #[test]
    fn pauses() {
        for (watchers, want_us) in [(0, 0), (1, 0), (24, 0), (25, 1000), (100, 4000), (200, 8000)] {
            assert_eq!(pause(watchers), Duration::from_micros(want_us), "{watchers} watchers");
        }
        assert_eq!(pause(usize::MAX), LONGEST);
    }

    async fn write(store: &Store, n: u64) -> u64 {
        let value = Template { json: br#"{"v":""}"#.to_vec(), version_at: 6 };
        let key = format!("k{n}");
        let write = Write::Put { kind: "things".into(), key, expect: Expect::Any, value };
        match store.write(write).await.expect("written") {
            Outcome::Done(stored) => stored.revision,
            Outcome::Conflict(_) => panic!("nothing was expected"),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ticks_are_apart_and_tell_of_every_event() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(Options::new(directory.path().join("store"))).await.unwrap();
        let before = write(&store, 0).await;
        let (pace, shutdown) = (Pace::new(), CancellationToken::new());
        let mut watchers: Vec<_> = (0..200).map(|_| pace.follow(&store, "things", &shutdown)).collect();
        assert_eq!(watchers[0].take(), Tick { upto: before, open: true }, "what was there is not held back");
        let start = std::time::Instant::now();
        let counted = tokio::spawn({
            let mut ticks = pace.follow(&store, "things", &shutdown);
            async move {
                let mut seen = Vec::new();
                loop {
                    ticks.changed().await;
                    match ticks.take() {
                        Tick { upto, open: true } => seen.push(upto),
                        end => return (seen, end),
                    }
                }
            }
        });
        let mut newest = before;
        for n in 1..=100 {
            newest = write(&store, n).await;
        }
        for ticks in &mut watchers {
            while ticks.take().upto < newest {
                ticks.changed().await;
            }
        }
        let took = start.elapsed();
        shutdown.cancel();
        let (seen, end) = counted.await.unwrap();
        assert_eq!(end, Tick { upto: u64::MAX, open: false });
        // The last of several ticks is the one that is seen, so that a slow counter sees fewer, never more.
        assert!(seen.is_sorted() && seen.iter().all(|upto| (before + 1..=newest).contains(upto)), "{seen:?}");
        let most = 2 + took.as_millis() / LONGEST.as_millis();
        assert!((seen.len() as u128) <= most, "{} ticks in {took:?}", seen.len());
        assert!(!watchers[0].take().open);
    }
}
