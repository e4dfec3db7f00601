//! The index of grants at the store's heels.
//!
//! Readers take an immutable index without a lock. It is made anew after changes, many at a time; a request that
//! the index does not allow makes it catch up first, so that a new binding counts from its first request on.

use super::index::{Index, Objects};
use super::objects::Binding;
use crate::auth::attributes::{Attributes, Decision};
use arc_swap::ArcSwap;
use keelson_api::identity::UserInfo;
use keelson_store::{Event, EventKind, HistoryError, Store, Stored, Watcher};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// The resources that grants are made of.
pub const KINDS: [&str; 4] = [
    "roles.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
];

/// RBAC over the objects of a store.
pub struct LiveRbac {
    index: ArcSwap<Index>,
    state: Mutex<State>,
    reached: watch::Sender<u64>,
}

struct State {
    store: Store,
    objects: Objects,
    /// In the order of `KINDS`.
    watchers: Vec<Watcher>,
}

impl LiveRbac {
    pub fn new(store: Store) -> Result<Self, HistoryError> {
        let mut state = State { store, objects: Objects::default(), watchers: Vec::new() };
        for kind in KINDS {
            let watcher = state.load(kind)?;
            state.watchers.push(watcher);
        }
        let reached = state.progress();
        Ok(Self {
            index: ArcSwap::from_pointee(Index::build(&state.objects)),
            state: Mutex::new(state),
            reached: watch::Sender::new(reached),
        })
    }

    /// The grants as of the last catching up.
    pub fn index(&self) -> Arc<Index> {
        self.index.load_full()
    }

    pub fn decide(&self, user: &UserInfo, attributes: &Attributes<'_>) -> Decision {
        let decision = self.index.load().decide(user, attributes);
        if decision.allowed() || !self.catch_up() {
            return decision;
        }
        self.index.load().decide(user, attributes)
    }

    /// Takes in what the store has that the index has not; true when that was anything.
    pub fn catch_up(&self) -> bool {
        let mut state = self.state.lock();
        let changed = state.drain();
        if changed {
            self.index.store(Arc::new(Index::build(&state.objects)));
        }
        let progress = state.progress();
        self.reached.send_if_modified(|reached| {
            let further = progress > *reached;
            *reached = progress.max(*reached);
            further
        });
        changed
    }

    /// Waits until every change up to `revision` counts.
    pub async fn reached(&self, revision: u64) {
        self.catch_up();
        // The sender lives as long as `self`.
        let _ = self.reached.subscribe().wait_for(|reached| *reached >= revision).await;
    }
}

impl State {
    /// Reads all objects of `kind` and returns the watcher that follows them.
    fn load(&mut self, kind: &str) -> Result<Watcher, HistoryError> {
        let snapshot = self.store.snapshot(kind);
        self.objects.clear(kind);
        for (key, stored) in snapshot.range("", None) {
            self.objects.set(kind, key, Some(stored));
        }
        self.store.watch(kind, "", snapshot.revision())
    }

    fn drain(&mut self) -> bool {
        let mut changed = false;
        for (index, kind) in KINDS.into_iter().enumerate() {
            loop {
                match self.watchers[index].try_next() {
                    Ok(None) => break,
                    Ok(Some(event)) => {
                        self.objects.apply(kind, &event);
                        changed = true;
                    }
                    // Too far behind, or unreadable history: the current state is all that is needed.
                    Err(_) => {
                        changed = true;
                        match self.load(kind) {
                            Ok(watcher) => self.watchers[index] = watcher,
                            Err(_) => break,
                        }
                    }
                }
            }
        }
        changed
    }

    fn progress(&self) -> u64 {
        self.watchers.iter().map(Watcher::progress).min().unwrap_or(0)
    }
}

impl Objects {
    fn clear(&mut self, kind: &str) {
        match kind {
            "roles.rbac.authorization.k8s.io" => self.roles.clear(),
            "clusterroles.rbac.authorization.k8s.io" => self.cluster_roles.clear(),
            "rolebindings.rbac.authorization.k8s.io" => self.role_bindings.clear(),
            _ => self.cluster_role_bindings.clear(),
        }
    }

    fn apply(&mut self, kind: &str, event: &Event) {
        let stored = match event.kind {
            EventKind::Put { .. } => Some(&event.value),
            EventKind::Delete => None,
        };
        self.set(kind, &event.key, stored);
    }

    fn set(&mut self, kind: &str, key: &str, stored: Option<&Stored>) {
        match kind {
            "roles.rbac.authorization.k8s.io" => set(&mut self.roles, key, stored),
            "clusterroles.rbac.authorization.k8s.io" => set(&mut self.cluster_roles, key, stored),
            "rolebindings.rbac.authorization.k8s.io" => set::<Binding>(&mut self.role_bindings, key, stored),
            _ => set(&mut self.cluster_role_bindings, key, stored),
        }
    }
}

/// An object that cannot be read grants nothing.
fn set<T: DeserializeOwned>(map: &mut BTreeMap<String, T>, key: &str, stored: Option<&Stored>) {
    match stored.and_then(|stored| serde_json::from_slice(&stored.bytes).ok()) {
        Some(object) => map.insert(key.to_owned(), object),
        None => map.remove(key),
    };
}
