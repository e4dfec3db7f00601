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
            match self.step() {
                Step::Event(event) => return Ok(event),
                Step::Wait if self.view.is_closed() => return Err(HistoryError::Closed),
                Step::Wait => self.changed.changed().await.map_err(|_| HistoryError::Closed)?,
                Step::Disk => {
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
                }
            }
        }
    }

    /// The next event if there is one. May read from disk when the watcher is far behind.
    pub fn try_next(&mut self) -> Result<Option<Arc<Event>>, HistoryError> {
        loop {
            match self.step() {
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

    fn step(&mut self) -> Step {
        loop {
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
