//! What a controller wrote and its view may not show yet.
//!
//! Reconciling on a view that lacks one's own last write would do the same thing twice. Revisions are one
//! sequence, so it is enough to remember the newest one written per key and to wait until the view is there.

use keelson_client::informer::Informer;
use keelson_client::{Meta, View};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// A view that does not catch up within this time is used as it is.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Written<K>(Mutex<HashMap<K, u64>>);

impl<K> Default for Written<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash + Clone> Written<K> {
    /// Remembers a write by the metadata of the reply.
    pub(crate) fn note(&self, key: &K, reply: &Meta) {
        let mut revisions = self.0.lock();
        let revision = revisions.entry(key.clone()).or_insert(0);
        *revision = reply.revision().max(*revision);
    }

    /// Waits until the view has reached what was written for this key.
    pub(crate) async fn settle<T: View>(&self, key: &K, view: &Informer<T>) {
        let Some(revision) = self.0.lock().get(key).copied() else { return };
        if view.revision() < revision {
            let _ = tokio::time::timeout(PATIENCE, view.reached(revision)).await;
        }
        self.0.lock().remove(key);
    }
}
