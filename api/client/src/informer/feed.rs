//! Changes of a view to its subscribers, bounded: a slow one is told to read the store again.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use tokio::sync::Notify;

/// One change of a view. The store already shows it when it is delivered.
#[derive(Debug)]
pub enum Change<T> {
    /// The object is new (`old` is `None`) or changed.
    Applied { old: Option<Arc<T>>, new: Arc<T> },
    /// The object is gone; this was its last state.
    Deleted(Arc<T>),
    /// Anything may have changed: read the store. Comes first, and after the subscriber fell behind.
    Resync,
}

impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Applied { old, new } => Self::Applied { old: old.clone(), new: new.clone() },
            Self::Deleted(last) => Self::Deleted(last.clone()),
            Self::Resync => Self::Resync,
        }
    }
}

struct Queue<T> {
    state: Mutex<QueueState<T>>,
    /// One permit is enough: a feed has one reader.
    ready: Notify,
}

struct QueueState<T> {
    changes: VecDeque<Change<T>>,
    closed: bool,
}

/// One subscriber's end.
pub struct Feed<T>(Arc<Queue<T>>);

impl<T> Feed<T> {
    /// The next change; `None` when the view has ended. Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Change<T>> {
        loop {
            {
                let mut state = self.0.state.lock();
                if let Some(change) = state.changes.pop_front() {
                    return Some(change);
                }
                if state.closed {
                    return None;
                }
            }
            self.0.ready.notified().await;
        }
    }

    /// The next change if there is one already.
    pub fn try_recv(&mut self) -> Option<Change<T>> {
        self.0.state.lock().changes.pop_front()
    }
}

pub(super) struct Feeds<T> {
    capacity: usize,
    state: Mutex<FeedsState<T>>,
}

struct FeedsState<T> {
    subscribers: Vec<Weak<Queue<T>>>,
    synced: bool,
    closed: bool,
}

impl<T> Feeds<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = FeedsState { subscribers: Vec::new(), synced: false, closed: false };
        Self { capacity: capacity.max(1), state: Mutex::new(state) }
    }

    pub(super) fn subscribe(&self) -> Feed<T> {
        let mut state = self.state.lock();
        let mut changes = VecDeque::new();
        if state.synced {
            changes.push_back(Change::Resync);
        }
        let queue = Arc::new(Queue {
            state: Mutex::new(QueueState { changes, closed: state.closed }),
            ready: Notify::new(),
        });
        state.subscribers.push(Arc::downgrade(&queue));
        Feed(queue)
    }

    /// Delivers changes. What happened before the first list was whole is one `Resync`.
    pub(super) fn publish(&self, changes: &[Change<T>]) {
        let mut state = self.state.lock();
        if state.synced {
            state.each(|queue| changes.iter().for_each(|c| queue.push(c.clone(), self.capacity)));
        }
    }

    /// The first list is in.
    pub(super) fn synced(&self) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.synced, true) {
            state.each(|queue| queue.push(Change::Resync, self.capacity));
        }
    }

    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.each(|queue| {
            queue.state.lock().closed = true;
            queue.ready.notify_one();
        });
    }
}

impl<T> FeedsState<T> {
    fn each(&mut self, act: impl Fn(&Queue<T>)) {
        self.subscribers.retain(|subscriber| match subscriber.upgrade() {
            Some(queue) => {
                act(&queue);
                true
            }
            None => false,
        });
    }
}

impl<T> Queue<T> {
    fn push(&self, change: Change<T>, capacity: usize) {
        let mut state = self.state.lock();
        if state.changes.len() >= capacity {
            state.changes.clear();
            state.changes.push_back(Change::Resync);
        } else {
            state.changes.push_back(change);
        }
        drop(state);
        self.ready.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(n: u32) -> Change<u32> {
        Change::Applied { old: None, new: Arc::new(n) }
    }

    fn drain(feed: &mut Feed<u32>) -> String {
        let mut text = String::new();
        while let Some(change) = feed.try_recv() {
            text.push_str(&match change {
                Change::Applied { new, .. } => new.to_string(),
                Change::Deleted(last) => format!("-{last}"),
                Change::Resync => "R".to_owned(),
            });
        }
        text
    }

    #[test]
    fn every_feed_starts_with_a_resync() {
        let feeds = Feeds::new(8);
        let mut early = feeds.subscribe();
        feeds.publish(&[added(1)]);
        assert_eq!(drain(&mut early), "");
        feeds.synced();
        feeds.publish(&[added(2)]);
        assert_eq!(drain(&mut early), "R2");
        assert_eq!(drain(&mut feeds.subscribe()), "R");
    }

    #[test]
    fn a_slow_reader_gets_one_marker_and_what_follows() {
        let feeds = Feeds::new(3);
        let mut feed = feeds.subscribe();
        feeds.synced();
        feeds.publish(&[added(1), added(2), added(3), added(4)]);
        assert_eq!(drain(&mut feed), "R4");
    }

    #[tokio::test]
    async fn a_feed_ends_with_its_view_and_dropped_feeds_are_forgotten() {
        let feeds = Feeds::<u32>::new(3);
        let mut feed = feeds.subscribe();
        drop(feeds.subscribe());
        feeds.synced();
        assert_eq!(feeds.state.lock().subscribers.len(), 1);
        feeds.close();
        assert!(matches!(feed.recv().await, Some(Change::Resync)));
        assert!(feed.recv().await.is_none());
    }
}
