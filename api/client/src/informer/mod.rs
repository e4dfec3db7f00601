//! A view of one kind that follows the server: a list, then a watch for ever.
//!
//! The view never goes back in time and never shows a half list: a relist is applied in place, as the
//! differences to what was there. Readers take shared objects out of the store and never wait for the network.

mod feed;
mod run;
mod step;
mod store;

pub use feed::{Change, Feed};
pub use store::Store;

use crate::client::Client;
use crate::views::View;
use feed::Feeds;
use keelson_api::resource::Resource;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Which objects of a kind are followed; all of them by default.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub namespace: String,
    pub label_selector: String,
    pub field_selector: String,
}

/// The values under which an index finds an object.
pub type IndexFn<T> = fn(&T) -> Vec<String>;

/// Details of an informer.
#[derive(Clone)]
pub struct Options<T> {
    /// Of the jitter in back-offs and watch times; random by default.
    pub seed: u64,
    /// Additional indexes by name.
    pub indexes: Vec<(&'static str, IndexFn<T>)>,
    /// Changes that a subscriber may be behind before it is told to resync.
    pub feed_capacity: usize,
    /// Ask the server for metadata only; for views that read nothing else.
    pub metadata_only: bool,
    /// Objects per page of the first list.
    pub page: u32,
}

impl<T> Default for Options<T> {
    fn default() -> Self {
        Self {
            seed: RandomState::new().build_hasher().finish(),
            indexes: Vec::new(),
            feed_capacity: 4096,
            metadata_only: false,
            page: 500,
        }
    }
}

/// How an informer is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// A watch is open.
    pub connected: bool,
    /// Calls that failed since the last success.
    pub failures: u32,
}

/// A handle to a running view; its task ends with the last handle.
pub struct Informer<T: View> {
    shared: Arc<Shared<T>>,
    task: Arc<AbortOnDrop>,
}

impl<T: View> Clone for Informer<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), task: self.task.clone() }
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the task writes and the handles read.
struct Shared<T> {
    store: Store<T>,
    feeds: Feeds<T>,
    /// The revision reached; `None` before the first list.
    revision: watch::Sender<Option<u64>>,
    health: watch::Sender<Health>,
}

impl<T: View> Informer<T> {
    pub fn spawn(client: Client, resource: Resource, scope: Scope) -> Self {
        Self::spawn_with(client, resource, scope, Options::default())
    }

    pub fn spawn_with(client: Client, resource: Resource, scope: Scope, options: Options<T>) -> Self {
        let shared = Arc::new(Shared {
            store: Store::new(&options.indexes),
            feeds: Feeds::new(options.feed_capacity),
            revision: watch::Sender::new(None),
            health: watch::Sender::new(Health::default()),
        });
        let runner = run::Runner::new(client, resource, scope, &options, shared.clone());
        let task = tokio::spawn(runner.run());
        Self { shared, task: Arc::new(AbortOnDrop(task.abort_handle())) }
    }

    pub fn store(&self) -> &Store<T> {
        &self.shared.store
    }

    /// Waits until the first list is in the store.
    pub async fn synced(&self) {
        let mut revision = self.shared.revision.subscribe();
        // The sender lives in `self.shared`.
        let _ = revision.wait_for(Option::is_some).await;
    }

    pub fn is_synced(&self) -> bool {
        self.shared.revision.borrow().is_some()
    }

    /// The resourceVersion that the store has reached, by events and bookmarks; 0 before the first list.
    pub fn revision(&self) -> u64 {
        self.shared.revision.borrow().unwrap_or(0)
    }

    /// Waits until the store has reached a revision.
    pub async fn reached(&self, revision: u64) {
        let mut reached = self.shared.revision.subscribe();
        let _ = reached.wait_for(|r| r.is_some_and(|r| r >= revision)).await;
    }

    /// Changes from now on; the first one is `Resync`, once the first list is in.
    pub fn subscribe(&self) -> Feed<T> {
        self.shared.feeds.subscribe()
    }

    pub fn health(&self) -> Health {
        *self.shared.health.borrow()
    }

    /// Ends the view; feeds end after what they already hold.
    pub fn stop(&self) {
        self.task.0.abort();
        self.shared.feeds.close();
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        self.feeds.close();
    }
}

#[cfg(test)]
mod tests;
