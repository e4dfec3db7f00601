//! One watch as it runs: what exists, then what happens, then its end. It is pulled by the connection and woken by
//! its kind's pace; between two wake-ups it holds nothing but its place.

use super::error_frame;
use super::form::Form;
use crate::metrics::{LongRunning, Metrics};
use crate::request::selection::Selection;
use crate::storage;
use crate::storage::catalog::Served;
use crate::storage::frames::{Batch, Shared, Type, frame};
use crate::storage::pace::Ticks;
use bytes::Bytes;
use keelson_store::{Event, EventKind, HistoryError, Snapshot, Stored, Watcher};
use serde_json::json;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

/// Between two bookmarks.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// Bytes gathered into one write when several events are ready.
const BATCH: usize = 32 * 1024;
/// The annotation of the bookmark that ends the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// The objects that existed when the watch began.
pub struct Initial {
    pub snapshot: Snapshot,
    /// The last key sent.
    pub after: Option<String>,
}

/// One watch.
pub struct Stream {
    pub served: Arc<Served>,
    pub initial: Option<Initial>,
    pub watcher: Watcher,
    pub ticks: Ticks,
    pub prefix: String,
    pub selection: Selection,
    pub form: Form,
    pub times: Times,
    pub announce_end: bool,
    /// Set when the stream has told its error and is over.
    pub failed: bool,
    pub shutdown: CancellationToken,
    pub metrics: Arc<Metrics>,
    pub _running: LongRunning,
}

/// When a watch has something to say by the clock.
pub struct Times {
    ends: Instant,
    next_bookmark: Option<Instant>,
    /// Runs to the earlier of both; kept, because to start a timer costs more than to look at it.
    timer: Pin<Box<Sleep>>,
}

impl Times {
    /// A watch that ends after `lifetime`, with or without bookmarks.
    pub fn new(lifetime: Duration, bookmarks: bool) -> Self {
        let now = Instant::now();
        let (ends, next_bookmark) = (now + lifetime, bookmarks.then(|| now + BOOKMARK_EVERY));
        let timer = Box::pin(tokio::time::sleep_until(wake(ends, next_bookmark)));
        Self { ends, next_bookmark, timer }
    }

    /// What is due when the timer has run out: false is the end, true a bookmark.
    fn go_on(&mut self) -> bool {
        let now = Instant::now();
        self.next_bookmark = self.next_bookmark.map(|_| now + BOOKMARK_EVERY);
        self.timer.as_mut().reset(wake(self.ends, self.next_bookmark));
        now < self.ends
    }
}

fn wake(ends: Instant, next_bookmark: Option<Instant>) -> Instant {
    next_bookmark.map_or(ends, |next| next.min(ends))
}

/// Frames gathered for one write.
#[derive(Default)]
struct Gathered {
    /// As long as there is one frame it is not copied.
    first: Bytes,
    all: Vec<u8>,
    count: u64,
}

impl Gathered {
    fn add(&mut self, frame: Bytes) {
        self.count += 1;
        if self.count == 1 {
            self.first = frame;
            return;
        }
        if self.all.is_empty() {
            // Room for some more of the same size.
            self.all.reserve((self.first.len() + frame.len()) * 4);
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&frame);
    }

    fn is_full(&self) -> bool {
        self.first.len().max(self.all.len()) >= BATCH
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { Bytes::from(self.all) }
    }
}

impl Stream {
    /// The next bytes of the stream; `None` at its end.
    pub async fn next(&mut self) -> Option<Bytes> {
        if self.failed {
            return None;
        }
        if let Some(bytes) = self.initial() {
            return Some(bytes);
        }
        if std::mem::take(&mut self.announce_end) {
            return Some(self.bookmark(true));
        }
        loop {
            let tick = self.ticks.take();
            match self.events(tick.upto).await {
                Ok(Some(bytes)) => return Some(bytes),
                Ok(None) if !tick.open => return None,
                Ok(None) => {}
                Err(error) => return self.fail(error),
            }
            tokio::select! {
                biased;
                () = self.times.timer.as_mut() => {
                    return if self.times.go_on() { Some(self.bookmark(false)) } else { None };
                }
                () = self.ticks.changed() => {}
            }
        }
    }

    /// The frames of events up to a revision, as many as go into one write.
    async fn events(&mut self, upto: u64) -> Result<Option<Bytes>, HistoryError> {
        let from = self.watcher.place();
        let shares = self.selection.is_everything() && self.form.accept.plain();
        if shares && let Some(batch) = self.served.frames.batch(&self.prefix, from, upto) {
            self.watcher.advance(batch.to);
            self.metrics.watch_events.fetch_add(batch.count, Ordering::Relaxed);
            return Ok(Some(batch.bytes.clone()));
        }
        let mut next = tokio::select! {
            biased;
            next = self.watcher.next_until(upto) => next?,
            // Only a read from disk takes its time.
            () = self.shutdown.cancelled() => return Err(HistoryError::Closed),
            () = self.times.timer.as_mut() => return Ok(None),
        };
        let mut gathered = Gathered::default();
        while let Some(event) = next {
            if let Some(bytes) = self.event(&event) {
                gathered.add(bytes);
                if gathered.is_full() {
                    break;
                }
            }
            next = self.watcher.try_next_until(upto);
        }
        let count = gathered.count;
        if count == 0 {
            return Ok(None);
        }
        self.metrics.watch_events.fetch_add(count, Ordering::Relaxed);
        let bytes = gathered.into_bytes();
        if shares {
            let (prefix, to) = (self.prefix.as_str().into(), self.watcher.place());
            self.served.frames.keep(Batch { prefix, from: from.after(), to, bytes: bytes.clone(), count });
        }
        Ok(Some(bytes))
    }

    fn fail(&mut self, error: HistoryError) -> Option<Bytes> {
        self.failed = true;
        match error {
            HistoryError::Closed => None,
            error => Some(error_frame(&storage::history_error(error, self.watcher.progress()))),
        }
    }

    /// The next batch of objects that existed at the start.
    fn initial(&mut self) -> Option<Bytes> {
        let mut initial = self.initial.take()?;
        let mut out = Vec::new();
        let mut last = None;
        for (key, stored) in initial.snapshot.range(&self.prefix, initial.after.as_deref()) {
            if self.selection.matches_stored(&self.served, key, stored) {
                let object = self.served.outgoing(stored.bytes.clone());
                let frame = self.form.frame(&self.served, Type::Added, &object)?;
                out.extend_from_slice(&frame);
            }
            if out.len() >= BATCH {
                last = Some(key.to_owned());
                break;
            }
        }
        if last.is_some() {
            initial.after = last;
            self.initial = Some(initial);
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    }

    /// The frame of an event, if it concerns this watch.
    fn event(&mut self, event: &Event) -> Option<Bytes> {
        let shared = self.served.frames.share(event.revision);
        let kind =
            if self.selection.is_everything() { whole_kind(event) } else { self.selected(event, &shared)? };
        let left = kind == Type::Deleted && event.kind != EventKind::Delete;
        if left {
            // The object left the selection: what was selected is shown, with the version of the change.
            let previous = event.previous.as_ref()?;
            let object = self.served.stored_form.with_version(&previous.bytes, event.revision);
            return self.form.frame(&self.served, kind, &self.served.outgoing(object));
        }
        let object = || self.served.outgoing(event.value.bytes.clone());
        if self.form.accept.plain() {
            return Some(shared.frame(kind, object));
        }
        self.form.frame(&self.served, kind, &object())
    }

    /// What a change is to those who see only the selection.
    fn selected(&self, event: &Event, shared: &Shared) -> Option<Type> {
        let (served, selection) = (&*self.served, &self.selection);
        let read = |stored: &Stored| served.read(stored).ok();
        let before = event.previous.as_ref().is_some_and(|previous| {
            if selection.needs_object() {
                shared.previous(event, read).is_some_and(|o| selection.matches_object(served, &event.key, o))
            } else {
                selection.matches_stored(served, &event.key, previous)
            }
        });
        if event.kind == EventKind::Delete {
            return before.then_some(Type::Deleted);
        }
        let after = if selection.needs_object() {
            shared.value(event, read).is_some_and(|o| selection.matches_object(served, &event.key, o))
        } else {
            selection.matches_stored(served, &event.key, &event.value)
        };
        transition(before, after)
    }

    fn bookmark(&mut self, initial_end: bool) -> Bytes {
        let revision = self.watcher.progress().max(1).to_string();
        let mut metadata = json!({"resourceVersion": revision, "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        let object = self.form.bookmark(&self.served, metadata);
        frame("BOOKMARK", object.to_string().as_bytes())
    }
}

fn whole_kind(event: &Event) -> Type {
    match event.kind {
        EventKind::Put { created: true } => Type::Added,
        EventKind::Put { created: false } => Type::Modified,
        EventKind::Delete => Type::Deleted,
    }
}

/// Entering the selection is an addition, leaving it a deletion.
fn transition(before: bool, after: bool) -> Option<Type> {
    match (before, after) {
        (false, true) => Some(Type::Added),
        (true, true) => Some(Type::Modified),
        (true, false) => Some(Type::Deleted),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions() {
        assert_eq!(transition(false, true), Some(Type::Added));
        assert_eq!(transition(true, true), Some(Type::Modified));
        assert_eq!(transition(true, false), Some(Type::Deleted));
        assert_eq!(transition(false, false), None);
    }

    #[test]
    fn frames_are_joined_in_order_and_one_alone_is_not_copied() {
        let mut gathered = Gathered::default();
        let one = Bytes::from_static(b"one\n");
        gathered.add(one.clone());
        gathered.add(Bytes::from_static(b"two\n"));
        gathered.add(Bytes::from_static(b"three\n"));
        assert_eq!((gathered.count, gathered.into_bytes().as_ref()), (3, &b"one\ntwo\nthree\n"[..]));
        let mut alone = Gathered::default();
        alone.add(one.clone());
        assert!(!alone.is_full());
        assert_eq!(alone.into_bytes().as_ptr(), one.as_ptr());
        let mut full = Gathered::default();
        full.add(Bytes::from(vec![b'x'; BATCH]));
        assert!(full.is_full());
    }
}
