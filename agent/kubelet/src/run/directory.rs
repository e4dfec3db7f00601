//! What the kubelet server may know of the pods: a copy that the loop keeps up to date.

use crate::pod::{Machine, Pod};
use parking_lot::RwLock;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// One container for logs and exec.
#[derive(Clone, Debug, Default)]
pub struct ContainerEntry {
    /// Of the present incarnation.
    pub id: Option<String>,
    pub running: bool,
    pub restart_count: u32,
    /// Restart count of the incarnation before.
    pub previous: Option<u32>,
    /// Why there is nothing to read or to enter yet.
    pub waiting: Option<String>,
}

#[derive(Clone, Debug)]
pub struct PodEntry {
    pub pod: Arc<Pod>,
    pub sandbox: Option<String>,
    pub containers: HashMap<String, ContainerEntry>,
    pub status: Value,
}

/// Pods by namespace and name. Of two with one name, the newer.
#[derive(Default)]
pub struct Directory {
    pods: RwLock<HashMap<(String, String), PodEntry>>,
}

impl Directory {
    pub fn get(&self, namespace: &str, name: &str) -> Option<PodEntry> {
        self.pods.read().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    pub fn list(&self) -> Vec<PodEntry> {
        self.pods.read().values().cloned().collect()
    }

    pub(super) fn put(&self, machine: &Machine, status: &Value) {
        let containers = machine.containers.iter().map(|c| (c.name.clone(), entry(c))).collect();
        let entry = PodEntry {
            pod: Arc::clone(&machine.pod),
            sandbox: machine.sandbox().map(|s| s.id.clone()),
            containers,
            status: status.clone(),
        };
        let key = (machine.pod.meta.namespace.clone(), machine.pod.meta.name.clone());
        self.pods.write().insert(key, entry);
    }

    pub(super) fn remove(&self, pod: &Pod) {
        let key = (pod.meta.namespace.clone(), pod.meta.name.clone());
        let mut pods = self.pods.write();
        if pods.get(&key).is_some_and(|e| e.pod.meta.uid == pod.meta.uid) {
            pods.remove(&key);
        }
    }
}

fn entry(container: &crate::pod::container::Container) -> ContainerEntry {
    ContainerEntry {
        id: container.id().map(str::to_owned),
        running: container.running(),
        restart_count: container.restart_count,
        previous: container.last.as_ref().map(|l| l.restart_count),
        waiting: container.hold.as_ref().map(|h| h.reason.to_owned()),
    }
}
