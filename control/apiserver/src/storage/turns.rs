//! Turns of writers that want the same object: whoever has lost once waits for its turn, so that each of many
//! writers gets through. The first try of a write takes no turn and costs nothing.

use std::hash::BuildHasher;
use tokio::sync::{Mutex, MutexGuard};

/// Queues; objects that share one only wait a little longer.
const QUEUES: usize = 64;

/// The queues of one server.
pub struct Turns {
    queues: [Mutex<()>; QUEUES],
    hasher: rapidhash::fast::RandomState,
}

impl Turns {
    pub fn new() -> Self {
        Self { queues: std::array::from_fn(|_| Mutex::new(())), hasher: Default::default() }
    }

    /// Waits for the turn of the object under `key`; it lasts until the guard is dropped.
    pub async fn wait(&self, kind: &str, key: &str) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one((kind, key));
        self.queues[(hash % QUEUES as u64) as usize].lock().await
    }
}
