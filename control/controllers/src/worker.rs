//! Workers of a queue: one reconcile per key at a time, retried with back-off when it fails.

use crate::context::Tasks;
use keelson_client::Error;
use keelson_client::queue::Queue;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// When a key that was reconciled without failure comes again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Only when a watch tells of a change.
    Done,
    /// After this time at the latest.
    After(Duration),
}

impl From<Option<Duration>> for Next {
    fn from(after: Option<Duration>) -> Self {
        after.map_or(Self::Done, Self::After)
    }
}

/// Runs `workers` workers over a queue until the tasks are stopped.
pub(crate) fn serve<K, F, Fut>(
    tasks: &Tasks,
    name: &'static str,
    queue: &Queue<K>,
    workers: usize,
    reconcile: F,
) where
    K: Eq + Hash + Clone + Ord + Display + Send + Sync + 'static,
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Next, Error>> + Send,
{
    let reconcile = Arc::new(reconcile);
    for _ in 0..workers {
        let (queue, reconcile) = (queue.clone(), reconcile.clone());
        tasks.spawn(async move {
            while let Some(key) = queue.next().await {
                match reconcile(key.clone()).await {
                    Ok(next) => {
                        queue.forget(&key);
                        if let Next::After(delay) = next {
                            queue.add_after(key.clone(), delay);
                        }
                    }
                    Err(e) => failed(name, &queue, &key, &e),
                }
                queue.done(&key);
            }
        });
    }
}

fn failed<K: Eq + Hash + Clone + Ord + Display>(name: &str, queue: &Queue<K>, key: &K, error: &Error) {
    if error.is_namespace_terminating() {
        tracing::debug!(controller = name, %key, %error, "left alone");
        return queue.forget(key);
    }
    // Losing against another writer is part of the protocol, and so is coming after one who deletes.
    if error.is_conflict() || error.is_not_found() {
        tracing::debug!(controller = name, %key, %error, "retrying");
    } else {
        tracing::warn!(controller = name, %key, %error, "retrying");
    }
    queue.retry(key.clone());
}
