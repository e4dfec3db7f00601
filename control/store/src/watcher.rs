//! A position in the events of one kind.
//!
//! Reads from the ring in memory while it can and from disk when it is further behind; either way every event
//! once, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::HistoryError;
use crate::event::Event;
use crate::view::{Kind, View};

/// Events read from disk at a time.
const PAGE: usize = 256;

/// Yields the events of one kind under one prefix. Costs the store nothing while it is not asked.
pub struct Watcher {
    view: Arc<View>,
    kind: Arc<Kind>,
    prefix: Box<str>,
    /// Every event up to this revision has been returned or passed over.
    after: u64,
    /// Where in the ring the event after `after` will be; `None` when that must be searched.
    position: Option<u64>,
    page: VecDeque<Arc<Event>>,
    changed: watch::Receiver<u64>,
}

/// Where a watcher stands in the events of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    after: u64,
    position: Option<u64>,
}

impl Place {
    /// Every event up to this revision has been returned or passed over.
    pub fn after(self) -> u64 {
        self.after
    }
}

/// Tells when a kind has new events, without reading them. Never misses the last one.
pub struct Changes {
    view: Arc<View>,
    kind: Arc<Kind>,
    changed: watch::Receiver<u64>,
}

impl Changes {
    pub(crate) fn new(view: Arc<View>, kind: Arc<Kind>) -> Changes {
        let changed = kind.subscribe();
        Changes { view, kind, changed }
    }

    /// The revision of the kind's newest event, or a later one that is about to be shown and will be told of. What
    /// this says is not told of again.
    pub fn newest(&mut self) -> u64 {
        // Marked before it is read: what comes in between is told of twice rather than never.
        self.changed.borrow_and_update();
        self.kind.current().last
    }

    /// Waits for events that nobody was told of yet: neither by this, nor by [`Changes::newest`].
    pub async fn changed(&mut self) -> Result<(), HistoryError> {
        if self.view.is_closed() {
            return Err(HistoryError::Closed);
        }
        self.changed.changed().await.map_err(|_| HistoryError::Closed)?;
        if self.view.is_closed() { Err(HistoryError::Closed) } else { Ok(()) }
    }
}

/// What to do for the next event.
enum Step {
    Event(Arc<Event>),
    /// There is none yet.
    Wait,
    /// It is on disk only.
    Disk,
}

impl Watcher {
    pub(crate) fn new(view: Arc<View>, kind: Arc<Kind>, prefix: &str, after: u64) -> Watcher {
        let changed = kind.subscribe();
        Watcher { view, kind, prefix: prefix.into(), after, position: None, page: VecDeque::new(), changed }
    }

    /// The next event; waits until there is one, or the store is closed. Safe to drop half-way: nothing is lost.
    pub async fn next(&mut self) -> Result<Arc<Event>, HistoryError> {
        loop {
            self.changed.borrow_and_update();
            if let Some(event) = self.next_until(u64::MAX).await? {
                return Ok(event);
            }
            if self.view.is_closed() {
                return Err(HistoryError::Closed);
            }
            self.changed.changed().await.map_err(|_| HistoryError::Closed)?;
        }
    }

    /// The next event that is not newer than `upto`, if there is one. Waits for nothing but the disk, when the
    /// watcher is further behind than memory reaches. Safe to drop half-way.
    pub async fn next_until(&mut self, upto: u64) -> Result<Option<Arc<Event>>, HistoryError> {
        loop {
            match self.step(upto) {
                Step::Event(event) => return Ok(Some(event)),
                Step::Wait => return Ok(None),
                Step::Disk => self.turn_page().await?,
            }
        }
    }

    /// The next event that is not newer than `upto`, if it is in memory.
    pub fn try_next_until(&mut self, upto: u64) -> Option<Arc<Event>> {
        match self.step(upto) {
            Step::Event(event) => Some(event),
            Step::Wait | Step::Disk => None,
        }
    }

    /// Reads the next events from disk.
    async fn turn_page(&mut self) -> Result<(), HistoryError> {
        // After a failure the database is closed for a moment.
        self.view.disk_open().await?;
        let (view, kind, after) = (self.view.clone(), self.kind.clone(), self.after);
        let read = move || view.events_from_disk(&kind, after, PAGE);
        let page = tokio::task::spawn_blocking(read).await;
        self.page = page.map_err(|_| HistoryError::Closed)??.into();
        if self.page.is_empty() {
            // The ring is being written to, past what is shown yet: soon there will be something.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The next event if there is one. May read from disk when the watcher is far behind.
    pub fn try_next(&mut self) -> Result<Option<Arc<Event>>, HistoryError> {
        loop {
            match self.step(u64::MAX) {
                Step::Event(event) => return Ok(Some(event)),
                Step::Wait => return Ok(None),
                Step::Disk => {
                    self.page = self.view.events_from_disk(&self.kind, self.after, PAGE)?.into();
                    if self.page.is_empty() {
                        // The ring is being written to, past what is shown yet: soon there will be something.
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Every event of this kind up to this revision has been returned: what a bookmark may say.
    pub fn progress(&self) -> u64 {
        // The revision is read before the head: events up to it are in the ring by then.
        let revision = self.view.revision();
        let at_head = self.page.is_empty() && self.position == Some(self.kind.ring.head());
        if at_head || self.kind.current().last <= self.after { revision.max(self.after) } else { self.after }
    }

    /// Where the watcher stands.
    pub fn place(&self) -> Place {
        Place { after: self.after, position: self.position }
    }

    /// Goes to where another watcher of the same kind stands, past the events in between; never back.
    pub fn advance(&mut self, place: Place) {
        if place.after > self.after {
            (self.after, self.position) = (place.after, place.position);
            self.page.clear();
        }
    }

    fn step(&mut self, upto: u64) -> Step {
        loop {
            if self.page.front().is_some_and(|event| event.revision > upto) {
                return Step::Wait;
            }
            if let Some(event) = self.page.pop_front() {
                if let Some(event) = self.pass(event) {
                    return Step::Event(event);
                }
                continue;
            }
            let position = match self.position.map_or_else(|| self.kind.ring.seek(self.after), Ok) {
                Ok(position) => position,
                Err(_) => return Step::Disk,
            };
            self.position = Some(position);
            match self.kind.ring.get(position) {
                Ok(Some(event)) if event.revision > upto => return Step::Wait,
                Ok(Some(event)) => {
                    self.position = Some(position + 1);
                    if let Some(event) = self.pass(event) {
                        return Step::Event(event);
                    }
                }
                Ok(None) => return Step::Wait,
                Err(_) => self.position = None,
            }
        }
    }

    /// Moves past an event; gives it back when it is for this watcher.
    fn pass(&mut self, event: Arc<Event>) -> Option<Arc<Event>> {
        if event.revision <= self.after {
            return None;
        }
        self.after = event.revision;
        event.key.starts_with(&*self.prefix).then_some(event)
    }
}
