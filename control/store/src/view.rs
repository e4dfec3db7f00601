//! The state in memory: per kind the current map, a few past ones and the newest events.
//!
//! Written by the state machine alone, after the change is in the database; read by everyone without a lock. It
//! outlives a restart of the database below it, so reads go on while the disk is in trouble.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use crate::disk::Disk;
use crate::error::HistoryError;
use crate::event::Event;
use crate::ring::{Overwritten, Ring};
use crate::tree::{Entry, Tree};

/// Events between two past maps that are kept; a read at a past revision undoes half of this at most.
const VERSION_EVERY: u64 = 512;

pub(crate) struct View {
    kinds: ArcSwap<HashMap<Arc<str>, Arc<Kind>>>,
    revision: AtomicU64,
    /// History up to here was asked to be dropped.
    compacted: AtomicU64,
    disk: ArcSwapOption<Disk>,
    disk_changed: watch::Sender<()>,
    closed: AtomicBool,
    trouble: ArcSwapOption<String>,
    max_events: usize,
    max_bytes: usize,
}

/// One kind of objects.
pub(crate) struct Kind {
    pub name: Arc<str>,
    current: ArcSwap<Version>,
    /// Older versions, oldest first, not older than the ring reaches.
    past: ArcSwap<Vec<Arc<Version>>>,
    pub ring: Ring,
    /// History up to and including this revision is being dropped: states and events after it are complete.
    pub oldest: AtomicU64,
    changed: watch::Sender<u64>,
}

/// The kind's objects after its event of revision `last`.
#[derive(Clone, Default)]
pub(crate) struct Version {
    pub last: u64,
    pub tree: Tree,
    /// Position in the ring after the event of `last`.
    position: u64,
}

impl View {
    pub fn new(max_events: usize, max_bytes: usize) -> View {
        View {
            kinds: ArcSwap::default(),
            revision: AtomicU64::new(0),
            compacted: AtomicU64::new(0),
            disk: ArcSwapOption::const_empty(),
            disk_changed: watch::Sender::new(()),
            closed: AtomicBool::new(false),
            trouble: ArcSwapOption::const_empty(),
            max_events,
            max_bytes,
        }
    }

    /// The last revision applied and visible.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    pub fn advance(&self, revision: u64) {
        self.revision.fetch_max(revision, Ordering::AcqRel);
    }

    pub fn compacted(&self) -> u64 {
        self.compacted.load(Ordering::Acquire)
    }

    pub fn set_compacted(&self, upto: u64) {
        self.compacted.store(upto, Ordering::Release);
    }

    pub fn find(&self, name: &str) -> Option<Arc<Kind>> {
        self.kinds.load().get(name).cloned()
    }

    /// The kind, made when nobody has asked for it before.
    pub fn kind(&self, name: &str) -> Arc<Kind> {
        if let Some(kind) = self.find(name) {
            return kind;
        }
        let made = Arc::new(Kind::new(name.into(), self.max_events, self.max_bytes));
        self.kinds.rcu(|kinds| {
            let mut kinds = HashMap::clone(kinds);
            kinds.entry(made.name.clone()).or_insert_with(|| made.clone());
            kinds
        });
        // Someone else may have been first.
        self.find(name).unwrap_or(made)
    }

    pub fn kinds(&self) -> Vec<Arc<Kind>> {
        self.kinds.load().values().cloned().collect()
    }

    pub fn entry(&self, kind: &str, key: &str) -> Option<Arc<Entry>> {
        self.kinds.load().get(kind)?.current.load().tree.get(key).cloned()
    }

    /// The database, unless it is closed just now.
    pub fn disk(&self) -> Option<Arc<Disk>> {
        self.disk.load_full()
    }

    pub fn set_disk(&self, disk: Option<Arc<Disk>>) {
        self.disk.store(disk);
        self.disk_changed.send_replace(());
    }

    /// Waits until the database is open, or the store closed for good.
    pub async fn disk_open(&self) -> Result<(), HistoryError> {
        let mut changed = self.disk_changed.subscribe();
        loop {
            changed.borrow_and_update();
            if self.is_closed() {
                return Err(HistoryError::Closed);
            }
            if self.disk.load().is_some() {
                return Ok(());
            }
            changed.changed().await.map_err(|_| HistoryError::Closed)?;
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The store is closed for good: whoever waits for a change is told.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.set_disk(None);
        for kind in self.kinds.load().values() {
            kind.changed.send_modify(|_| ());
        }
    }

    /// Why writes are refused; `None` when all is well.
    pub fn trouble(&self) -> Option<Arc<String>> {
        self.trouble.load_full()
    }

    pub fn set_trouble(&self, trouble: Option<String>) {
        self.trouble.store(trouble.map(Arc::new));
    }

    /// The kind's current objects, with the revision up to which they are complete.
    pub fn snapshot(&self, kind: &str) -> (u64, Tree) {
        // The global revision is read first: it is published after the maps it covers.
        let revision = self.revision();
        match self.find(kind) {
            Some(kind) => {
                let current = kind.current();
                // Taken from the same version as the map: a newer one may be shown by now.
                (revision.max(current.last), current.tree.clone())
            }
            None => (revision, Tree::default()),
        }
    }

    /// The last revision that readers of the kind may have seen. One write shows kind after kind and then the
    /// revision of all: until then a kind is ahead of it.
    pub fn revision_of(&self, kind: &Kind) -> u64 {
        self.revision().max(kind.current().last)
    }

    /// The kind, if its history from `after` on can be had.
    pub fn kind_at(&self, kind: &str, after: u64) -> Result<Arc<Kind>, HistoryError> {
        let kind = self.kind(kind);
        let current = self.revision_of(&kind);
        if after > current {
            return Err(HistoryError::Future { current });
        }
        kind.check_kept(after)?;
        Ok(kind)
    }

    /// The kind's objects as they were at `revision`.
    pub fn tree_at(&self, kind: &str, revision: u64) -> Result<Tree, HistoryError> {
        let kind = self.kind_at(kind, revision)?;
        if let Some(tree) = kind.rewind(revision) {
            return Ok(tree);
        }
        let disk = self.disk().ok_or_else(|| self.no_disk())?;
        let kept = || kind.check_kept(revision).is_ok();
        match disk.tree_at(&kind.name, revision, kept) {
            Ok(Some(tree)) => Ok(tree),
            Ok(None) => Err(kind.compacted()),
            Err(e) => Err(HistoryError::Io(e.to_string())),
        }
    }

    /// Events of the kind after `after`, from disk, none newer than what memory shows.
    pub fn events_from_disk(
        &self,
        kind: &Kind,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, HistoryError> {
        kind.check_kept(after)?;
        let upto = kind.current().last;
        let disk = self.disk().ok_or_else(|| self.no_disk())?;
        let events: io::Result<_> =
            disk.events(&kind.name, (after, upto), limit, || kind.check_kept(after).is_ok());
        match events {
            Ok(Some(events)) => Ok(events),
            Ok(None) => Err(kind.compacted()),
            Err(e) => Err(HistoryError::Io(e.to_string())),
        }
    }

    fn no_disk(&self) -> HistoryError {
        if self.is_closed() {
            return HistoryError::Closed;
        }
        let trouble = self.trouble();
        HistoryError::Io(trouble.map_or_else(|| "the database is being opened".into(), |t| t.to_string()))
    }
}

impl Kind {
    fn new(name: Arc<str>, max_events: usize, max_bytes: usize) -> Kind {
        Kind {
            name,
            current: ArcSwap::default(),
            past: ArcSwap::default(),
            ring: Ring::new(max_events, max_bytes),
            oldest: AtomicU64::new(0),
            changed: watch::Sender::new(0),
        }
    }

    pub fn current(&self) -> arc_swap::Guard<Arc<Version>> {
        self.current.load()
    }

    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Acquire)
    }

    pub fn compacted(&self) -> HistoryError {
        HistoryError::Compacted { oldest: self.oldest() }
    }

    /// Whether states at `revision` and events after it are still complete.
    pub fn check_kept(&self, revision: u64) -> Result<(), HistoryError> {
        if revision < self.oldest() { Err(self.compacted()) } else { Ok(()) }
    }

    /// Shows new events and the map after them. Events that are shown already (a replay after the database was
    /// reopened) are left out. Whoever waits is told by [`Kind::announce`]. State machine only.
    pub fn publish(&self, tree: &Tree, last: u64, events: &[Arc<Event>]) {
        let before = self.current.load_full();
        if last <= before.last {
            return;
        }
        let new = events.partition_point(|e| e.revision <= before.last);
        let head = self.ring.stage(&events[new..]);
        self.current.store(Arc::new(Version { last, tree: tree.clone(), position: head }));
        self.ring.show(head);
        let newest_past = self.past.load().last().map_or(0, |v| v.position);
        if before.position > 0 && head - newest_past >= VERSION_EVERY {
            let base = self.ring.base();
            let mut past: Vec<_> = self.past.load().iter().filter(|v| v.last >= base).cloned().collect();
            past.push(before);
            self.past.store(Arc::new(past));
        }
    }

    /// Wakes whoever waits for what is shown. State machine only.
    pub fn announce(&self) {
        self.changed.send_replace(self.current().last);
    }

    /// Shows a map whose events are on disk only. State machine only.
    pub fn replace(&self, tree: Tree, last: u64, oldest: u64) {
        self.ring.reset(last);
        self.past.store(Arc::default());
        self.oldest.fetch_max(oldest, Ordering::AcqRel);
        let position = self.ring.head();
        self.current.store(Arc::new(Version { last, tree, position }));
        self.changed.send_replace(last);
    }

    /// The map at a past revision, from memory: the next younger map with the events in between undone.
    fn rewind(&self, revision: u64) -> Option<Tree> {
        let current = self.current.load_full();
        if current.last <= revision {
            return Some(current.tree.clone());
        }
        if revision < self.ring.base() {
            return None;
        }
        let past = self.past.load();
        let younger = past.iter().find(|v| v.last >= revision).unwrap_or(&current);
        let mut tree = younger.tree.clone();
        for position in (0..younger.position).rev() {
            match self.ring.get(position) {
                Ok(Some(event)) if event.revision > revision => undo(&mut tree, &event),
                Ok(Some(_)) => return Some(tree),
                // Everything kept is undone: right if what came before is what was asked for.
                Err(Overwritten) => return (self.ring.base() <= revision).then_some(tree),
                Ok(None) => return None,
            }
        }
        Some(tree)
    }
}

/// Takes an event back. The tree is for reading: where the revision stands inside a document is not kept.
fn undo(tree: &mut Tree, event: &Event) {
    match &event.previous {
        Some(stored) => {
            tree.insert(Arc::new(Entry { key: event.key.clone(), stored: stored.clone(), version_at: 0 }));
        }
        None => {
            tree.remove(&event.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_can_be_watched_before_the_revision_of_all_is_shown() {
        let view = View::new(16, 1 << 20);
        let (ahead, behind) = (view.kind("ahead"), view.kind("behind"));
        ahead.publish(&Tree::default(), 7, &[]);
        assert_eq!((view.revision(), view.snapshot("ahead").0), (0, 7));
        assert!(view.kind_at("ahead", 7).is_ok() && view.tree_at("ahead", 7).is_ok());
        assert_eq!(view.kind_at("ahead", 8).err(), Some(HistoryError::Future { current: 7 }));
        assert_eq!(view.kind_at("behind", 7).err(), Some(HistoryError::Future { current: 0 }));
        assert_eq!(view.revision_of(&behind), 0);
        view.advance(7);
        assert!(view.kind_at("behind", 7).is_ok());
    }
}
