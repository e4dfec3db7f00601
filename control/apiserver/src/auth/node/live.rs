//! The graph of pods' references at the store's heels.

use super::graph::{Graph, PodRefs, Vertex};
use keelson_store::{EventKind, HistoryError, Store, Stored, Watcher};
use parking_lot::Mutex;
use std::sync::Arc;

/// The resource whose objects make the graph.
pub const KIND: &str = "pods";

/// References of the pods in a store.
pub struct LiveNodes(Mutex<State>);

struct State {
    store: Store,
    graph: Graph,
    watcher: Watcher,
}

impl LiveNodes {
    pub fn new(store: Store) -> Result<Self, HistoryError> {
        let (graph, watcher) = load(&store)?;
        Ok(Self(Mutex::new(State { store, graph, watcher })))
    }

    /// Whether a pod of `node` refers to the object. Catches up with the store first: an agent asks for a pod's
    /// secrets the moment that it sees the pod.
    pub fn related(&self, node: &str, vertex: Vertex, namespace: &str, name: &str) -> bool {
        let mut state = self.0.lock();
        state.drain();
        state.graph.related(node, vertex, namespace, name)
    }

    /// Takes in what the store has that the graph has not.
    pub fn catch_up(&self) {
        self.0.lock().drain();
    }
}

/// A pod that cannot be read refers to nothing.
fn references(stored: &Stored) -> Option<PodRefs> {
    PodRefs::parse(&stored.bytes).ok()
}

fn load(store: &Store) -> Result<(Graph, Watcher), HistoryError> {
    let snapshot = store.snapshot(KIND);
    let mut graph = Graph::default();
    for (key, stored) in snapshot.range("", None) {
        graph.set(&Arc::from(key), references(stored));
    }
    Ok((graph, store.watch(KIND, "", snapshot.revision())?))
}

impl State {
    fn drain(&mut self) {
        loop {
            match self.watcher.try_next() {
                Ok(None) => return,
                Ok(Some(event)) => {
                    let refs = match event.kind {
                        EventKind::Put { .. } => references(&event.value),
                        EventKind::Delete => None,
                    };
                    self.graph.set(&event.key, refs);
                }
                // Too far behind, or unreadable history: the current state is all that is needed.
                Err(_) => match load(&self.store) {
                    Ok((graph, watcher)) => (self.graph, self.watcher) = (graph, watcher),
                    Err(_) => return,
                },
            }
        }
    }
}
