//! A work queue of keys: one entry per key, one worker per key, delays, and back-off per key.

mod core;

use self::core::Core;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A shared queue. Its size is bounded by the number of distinct keys.
pub struct Queue<K>(Arc<Inner<K>>);

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<K> {
    core: Mutex<Core<K>>,
    ready: Notify,
    start: Instant,
}

impl<K: Eq + Hash + Clone + Ord> Default for Queue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash + Clone + Ord> Queue<K> {
    pub fn new() -> Self {
        Self(Arc::new(Inner { core: Mutex::new(Core::new()), ready: Notify::new(), start: Instant::now() }))
    }

    fn now(&self) -> Duration {
        self.0.start.elapsed()
    }

    /// Queues a key unless it waits already. A key being worked on comes again after `done`.
    pub fn add(&self, key: K) {
        if self.0.core.lock().add(key) {
            self.0.ready.notify_one();
        }
    }

    /// Queues a key after a delay; of several delays the shortest counts.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let now = self.now();
        self.0.core.lock().add_after(key, now + delay);
        self.0.ready.notify_one();
    }

    /// Queues a key after a delay that doubles with each retry: 5 ms up to 30 s.
    pub fn retry(&self, key: K) {
        let now = self.now();
        self.0.core.lock().retry(key, now);
        self.0.ready.notify_one();
    }

    /// The key's work succeeded: its next retry starts from the shortest delay.
    pub fn forget(&self, key: &K) {
        self.0.core.lock().forget(key);
    }

    /// The next key; `None` after `close`. The caller must call `done` with it.
    pub async fn next(&self) -> Option<K> {
        loop {
            let mut notified = std::pin::pin!(self.0.ready.notified());
            notified.as_mut().enable();
            let due = {
                let now = self.now();
                let mut core = self.0.core.lock();
                if core.is_closed() {
                    self.0.ready.notify_one();
                    return None;
                }
                core.tick(now);
                if let Some(key) = core.pop() {
                    if core.has_ready() {
                        self.0.ready.notify_one();
                    }
                    return Some(key);
                }
                core.next_due()
            };
            match due {
                None => notified.await,
                Some(due) => {
                    let _ = tokio::time::timeout_at(self.0.start + due, notified).await;
                }
            }
        }
    }

    /// The worker is through with a key that `next` gave it.
    pub fn done(&self, key: &K) {
        if self.0.core.lock().done(key) {
            self.0.ready.notify_one();
        }
    }

    /// Ends the queue: `next` gives `None` to every worker.
    pub fn close(&self) {
        self.0.core.lock().close();
        self.0.ready.notify_waiters();
        self.0.ready.notify_one();
    }

    /// Keys that wait, without those that are delayed.
    pub fn len(&self) -> usize {
        self.0.core.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a worker holds or awaits any of these keys: for tests and shutdown.
    pub fn pending(&self) -> HashSet<K> {
        self.0.core.lock().pending()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn delays_pass_and_workers_end() {
        let queue = Queue::new();
        queue.add_after("late", Duration::from_millis(50));
        queue.add("now");
        assert_eq!(queue.next().await, Some("now"));
        queue.done(&"now");
        let before = Instant::now();
        assert_eq!(queue.next().await, Some("late"));
        assert!(before.elapsed() >= Duration::from_millis(40));
        let waiting = (0..3).map(|_| {
            tokio::spawn({
                let queue = queue.clone();
                async move { queue.next().await }
            })
        });
        let waiting: Vec<_> = waiting.collect();
        tokio::task::yield_now().await;
        queue.close();
        for worker in waiting {
            assert_eq!(worker.await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn several_workers_share_the_keys() {
        let queue = Queue::new();
        let workers = (0..4).map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while let Some(key) = queue.next().await {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    queue.done(&key);
                    done += 1;
                }
                done
            })
        });
        let workers: Vec<_> = workers.collect();
        (0..100).for_each(|key| queue.add(key));
        while !queue.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        queue.close();
        let mut total = 0;
        for worker in workers {
            total += worker.await.unwrap();
        }
        assert_eq!(total, 100);
    }
}
