//! The newest events of one kind, in memory, for any number of readers.
//!
//! One writer, readers without a lock: each watcher keeps its own position, so a slow one costs nobody anything;
//! it finds its place overwritten and goes on from disk. Never waits.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use crate::event::Event;

/// Slots allocated at a time: a kind without events costs nothing but pointers.
const SEGMENT: usize = 256;
/// What an event takes besides its document, in bytes, for the ring's budget.
const OVERHEAD: usize = 256;

type Segment = Box<[ArcSwapOption<Event>]>;

pub(crate) struct Ring {
    segments: Box<[OnceLock<Segment>]>,
    max_events: u64,
    max_bytes: usize,
    /// Position after the newest event that readers may see.
    head: AtomicU64,
    /// Position of the oldest event kept.
    tail: AtomicU64,
    /// Revision of the newest event that is no longer kept: whoever has seen it can be served from here.
    base: AtomicU64,
    /// Bytes kept; the writer's.
    bytes: AtomicUsize,
}

/// The events asked for are no longer in the ring.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overwritten;

impl Ring {
    pub fn new(max_events: usize, max_bytes: usize) -> Ring {
        let max_events = max_events.max(1);
        let segments = (0..max_events.div_ceil(SEGMENT)).map(|_| OnceLock::new()).collect();
        Ring {
            segments,
            max_events: max_events as u64,
            max_bytes,
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            base: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    fn slot(&self, position: u64) -> &ArcSwapOption<Event> {
        let at = (position % (self.segments.len() * SEGMENT) as u64) as usize;
        let segment = self.segments[at / SEGMENT]
            .get_or_init(|| (0..SEGMENT).map(|_| ArcSwapOption::const_empty()).collect());
        &segment[at % SEGMENT]
    }

    /// Puts events in without showing them yet. Writer only.
    pub fn stage(&self, events: &[Arc<Event>]) -> u64 {
        let mut head = self.head.load(Ordering::Relaxed);
        for event in events {
            while head - self.tail.load(Ordering::Relaxed) >= self.max_events {
                self.drop_oldest();
            }
            self.slot(head).store(Some(event.clone()));
            self.bytes.fetch_add(cost(event), Ordering::Relaxed);
            head += 1;
            // A ring that holds nothing serves nobody: the newest event stays, whatever its size.
            while self.bytes.load(Ordering::Relaxed) > self.max_bytes
                && head - self.tail.load(Ordering::Relaxed) > 1
            {
                self.drop_oldest();
            }
        }
        head
    }

    /// Shows everything up to `head`, as [`Ring::stage`] gave it. Writer only.
    pub fn show(&self, head: u64) {
        self.head.store(head, Ordering::Release);
    }

    /// Forgets everything; events up to `base` can only be had from disk. Writer only.
    pub fn reset(&self, base: u64) {
        let head = self.head.load(Ordering::Relaxed);
        while self.tail.load(Ordering::Relaxed) < head {
            self.drop_oldest();
        }
        self.base.store(base, Ordering::Release);
    }

    fn drop_oldest(&self) {
        let tail = self.tail.load(Ordering::Relaxed);
        let slot = self.slot(tail);
        if let Some(event) = &*slot.load() {
            self.base.fetch_max(event.revision, Ordering::AcqRel);
            self.bytes.fetch_sub(cost(event), Ordering::Relaxed);
        }
        // The tail moves before the slot changes: a reader that finds a changed slot finds the tail moved, too.
        self.tail.store(tail + 1, Ordering::SeqCst);
        slot.store(None);
    }

    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Events after this revision are all here.
    pub fn base(&self) -> u64 {
        self.base.load(Ordering::Acquire)
    }

    /// The event at a position; `None` when it has not happened yet.
    pub fn get(&self, position: u64) -> Result<Option<Arc<Event>>, Overwritten> {
        if position >= self.head() {
            return Ok(None);
        }
        let event = self.slot(position).load_full();
        if self.tail.load(Ordering::SeqCst) > position {
            return Err(Overwritten);
        }
        event.map(Some).ok_or(Overwritten)
    }

    /// The position of the first event after `revision`.
    pub fn seek(&self, revision: u64) -> Result<u64, Overwritten> {
        let (mut low, mut high) = (self.tail.load(Ordering::SeqCst), self.head());
        if revision < self.base() {
            return Err(Overwritten);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Ok(Some(event)) if event.revision > revision => high = middle,
                Ok(Some(_)) => low = middle + 1,
                // Overwritten while looking: what is searched is further on, or gone with it.
                Ok(None) | Err(Overwritten) => {
                    if revision < self.base() {
                        return Err(Overwritten);
                    }
                    low = middle + 1;
                }
            }
        }
        Ok(low)
    }
}

fn cost(event: &Event) -> usize {
    event.value.bytes.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::object::Stored;

    fn event(revision: u64, size: usize) -> Arc<Event> {
        let value = Stored { revision, bytes: vec![b'x'; size].into() };
        Arc::new(Event {
            revision,
            key: "k".into(),
            kind: EventKind::Put { created: true },
            value,
            previous: None,
        })
    }

    fn push(ring: &Ring, revision: u64, size: usize) {
        let head = ring.stage(&[event(revision, size)]);
        ring.show(head);
    }

    fn read_from(ring: &Ring, revision: u64) -> Result<Vec<u64>, Overwritten> {
        let mut position = ring.seek(revision)?;
        let mut seen = Vec::new();
        while let Some(event) = ring.get(position)? {
            seen.push(event.revision);
            position += 1;
        }
        Ok(seen)
    }

    #[test]
    fn serves_from_any_revision_not_overwritten() {
        let ring = Ring::new(4, usize::MAX);
        assert_eq!(read_from(&ring, 0), Ok(vec![]));
        for revision in [3, 5, 6, 10] {
            push(&ring, revision, 1);
        }
        assert_eq!(read_from(&ring, 0), Ok(vec![3, 5, 6, 10]));
        assert_eq!(read_from(&ring, 5), Ok(vec![6, 10]));
        assert_eq!(read_from(&ring, 7), Ok(vec![10]));
        assert_eq!(read_from(&ring, 99), Ok(vec![]));
        push(&ring, 12, 1);
        assert_eq!(read_from(&ring, 2), Err(Overwritten));
        assert_eq!(read_from(&ring, 3), Ok(vec![5, 6, 10, 12]));
    }

    #[test]
    fn staged_events_are_not_seen_before_they_are_shown() {
        let ring = Ring::new(8, usize::MAX);
        let head = ring.stage(&[event(1, 1), event(2, 1)]);
        assert_eq!(read_from(&ring, 0), Ok(vec![]));
        ring.show(head);
        assert_eq!(read_from(&ring, 0), Ok(vec![1, 2]));
    }

    #[test]
    fn bytes_are_bounded_and_the_newest_event_stays() {
        let ring = Ring::new(1000, 3 * (1000 + OVERHEAD));
        for revision in 1..=10 {
            push(&ring, revision, 1000);
        }
        assert_eq!(read_from(&ring, 7), Ok(vec![8, 9, 10]));
        assert_eq!(read_from(&ring, 6), Err(Overwritten));
        push(&ring, 11, 1 << 20);
        assert_eq!(read_from(&ring, 10), Ok(vec![11]));
        assert_eq!(read_from(&ring, 9), Err(Overwritten));
    }

    #[test]
    fn a_reset_ring_serves_only_what_comes_after() {
        let ring = Ring::new(8, usize::MAX);
        push(&ring, 1, 1);
        ring.reset(5);
        assert_eq!(read_from(&ring, 1), Err(Overwritten));
        assert_eq!(read_from(&ring, 5), Ok(vec![]));
        push(&ring, 9, 1);
        assert_eq!(read_from(&ring, 5), Ok(vec![9]));
    }

    /// Readers beside a writer that overwrites all the time: they see every event in order or are told.
    #[test]
    fn concurrent_readers_never_see_a_gap() {
        let ring = Ring::new(64, usize::MAX);
        let last = 20_000;
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut after = 0;
                    while after < last {
                        let Ok(mut position) = ring.seek(after) else {
                            after = ring.base();
                            continue;
                        };
                        while let Ok(Some(event)) = ring.get(position) {
                            assert_eq!(event.revision, after + 1);
                            after = event.revision;
                            position += 1;
                        }
                    }
                });
            }
            for revision in 1..=last {
                push(&ring, revision, 1);
            }
        });
    }
}
