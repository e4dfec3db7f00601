//! The objects of a view, by name, by namespace and by what its owner asked to index.

use super::IndexFn;
use super::feed::Change;
use crate::views::{Key, View};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A shared, readable set of objects. Reads take a short lock and hand out shared objects.
pub struct Store<T>(Arc<RwLock<Maps<T>>>);

impl<T> Clone for Store<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Maps<T> {
    namespaces: BTreeMap<String, BTreeMap<String, Arc<T>>>,
    count: usize,
    indexes: Vec<Index<T>>,
}

struct Index<T> {
    name: &'static str,
    values: IndexFn<T>,
    entries: HashMap<String, BTreeMap<Key, Arc<T>>>,
}

impl<T: View> Store<T> {
    pub(super) fn new(indexes: &[(&'static str, IndexFn<T>)]) -> Self {
        let indexes =
            indexes.iter().map(|&(name, values)| Index { name, values, entries: HashMap::new() }).collect();
        Self(Arc::new(RwLock::new(Maps { namespaces: BTreeMap::new(), count: 0, indexes })))
    }

    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.0.read().get(namespace, name).cloned()
    }

    /// Everything, ordered by namespace and name.
    pub fn list(&self) -> Vec<Arc<T>> {
        let maps = self.0.read();
        maps.namespaces.values().flat_map(BTreeMap::values).cloned().collect()
    }

    pub fn list_namespace(&self, namespace: &str) -> Vec<Arc<T>> {
        let maps = self.0.read();
        maps.namespaces.get(namespace).map(|n| n.values().cloned().collect()).unwrap_or_default()
    }

    /// The objects whose index `index` has `value`; none when there is no such index.
    pub fn by_index(&self, index: &str, value: &str) -> Vec<Arc<T>> {
        let maps = self.0.read();
        let entries = maps.indexes.iter().find(|i| i.name == index).and_then(|i| i.entries.get(value));
        entries.map(|e| e.values().cloned().collect()).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.0.read().count
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts an object in. An object of the same name with another uid was deleted in between.
    pub(super) fn apply(&self, object: T) -> Vec<Change<T>> {
        self.0.write().apply(Arc::new(object))
    }

    pub(super) fn delete(&self, last: T) -> Vec<Change<T>> {
        let mut maps = self.0.write();
        let key = last.meta().key();
        match maps.remove(&key) {
            Some(_) => vec![Change::Deleted(Arc::new(last))],
            None => Vec::new(),
        }
    }

    /// Makes the store equal to a list, in place; the changes are the differences.
    pub(super) fn replace(&self, items: Vec<T>) -> Vec<Change<T>> {
        let mut maps = self.0.write();
        let listed: HashSet<Key> = items.iter().map(|i| i.meta().key()).collect();
        let gone = maps.namespaces.values().flat_map(BTreeMap::values);
        let gone: Vec<Key> = gone.map(|o| o.meta().key()).filter(|k| !listed.contains(k)).collect();
        let mut changes = Vec::new();
        for key in gone {
            changes.extend(maps.remove(&key).map(Change::Deleted));
        }
        for item in items {
            let known = maps.get(&item.meta().namespace, &item.meta().name);
            if known.is_none_or(|k| !same_version(k.as_ref(), &item)) {
                changes.extend(maps.apply(Arc::new(item)));
            }
        }
        changes
    }
}

fn same_version<T: View>(a: &T, b: &T) -> bool {
    let (a, b) = (a.meta(), b.meta());
    a.uid == b.uid && a.resource_version == b.resource_version && !a.resource_version.is_empty()
}

impl<T: View> Maps<T> {
    fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.namespaces.get(namespace)?.get(name)
    }

    fn apply(&mut self, new: Arc<T>) -> Vec<Change<T>> {
        let key = new.meta().key();
        let old = self.remove(&key);
        for index in &mut self.indexes {
            for value in (index.values)(&new) {
                index.entries.entry(value).or_default().insert(key.clone(), new.clone());
            }
        }
        self.namespaces.entry(key.namespace).or_default().insert(key.name, new.clone());
        self.count += 1;
        match old {
            Some(old) if old.meta().uid != new.meta().uid => {
                vec![Change::Deleted(old), Change::Applied { old: None, new }]
            }
            old => vec![Change::Applied { old, new }],
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<T>> {
        let names = self.namespaces.get_mut(&key.namespace)?;
        let old = names.remove(&key.name)?;
        if names.is_empty() {
            self.namespaces.remove(&key.namespace);
        }
        self.count -= 1;
        for index in &mut self.indexes {
            for value in (index.values)(&old) {
                if let Some(entries) = index.entries.get_mut(&value) {
                    entries.remove(key);
                    if entries.is_empty() {
                        index.entries.remove(&value);
                    }
                }
            }
        }
        Some(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::Pod;
    use serde_json::json;

    fn pod(name: &str, uid: &str, version: &str, node: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": version},
            "spec": {"nodeName": node}
        }))
        .unwrap()
    }

    fn text(changes: &[Change<Pod>]) -> Vec<String> {
        let version = |p: &Arc<Pod>| format!("{}@{}", p.metadata.name, p.metadata.resource_version);
        let one = |change: &Change<Pod>| match change {
            Change::Applied { old: None, new } => format!("+{}", version(new)),
            Change::Applied { old: Some(old), new } => format!("{}>{}", version(old), version(new)),
            Change::Deleted(last) => format!("-{}", version(last)),
            Change::Resync => "resync".to_owned(),
        };
        changes.iter().map(one).collect()
    }

    #[test]
    fn indexes_follow_their_objects() {
        let store = Store::<Pod>::new(&[("node", |p| vec![p.spec.node_name.clone()])]);
        store.apply(pod("a", "1", "1", "n1"));
        store.apply(pod("b", "2", "2", "n1"));
        store.apply(pod("a", "1", "3", "n2"));
        let name = |node| {
            let pods = store.by_index("node", node);
            assert_eq!(pods.len(), 1, "{node}");
            pods[0].metadata.name.clone()
        };
        assert_eq!((name("n1"), name("n2")), ("b".to_owned(), "a".to_owned()));
        store.delete(pod("a", "1", "4", "n2"));
        assert!(store.by_index("node", "n2").is_empty());
        assert_eq!(store.len(), 1);
        assert!(store.by_index("nothing", "n1").is_empty());
    }

    #[test]
    fn a_relist_is_the_difference() {
        let store = Store::<Pod>::new(&[]);
        let first = vec![pod("a", "1", "1", ""), pod("b", "2", "2", ""), pod("c", "3", "3", "")];
        assert_eq!(text(&store.replace(first)), ["+a@1", "+b@2", "+c@3"]);
        let second = vec![pod("a", "1", "1", ""), pod("b", "2", "5", ""), pod("d", "4", "6", "")];
        assert_eq!(text(&store.replace(second)), ["-c@3", "b@2>b@5", "+d@6"]);
        assert_eq!(store.list_namespace("ns").len(), 3);
    }

    #[test]
    fn a_reused_name_is_a_deletion_first() {
        let store = Store::<Pod>::new(&[]);
        store.apply(pod("a", "1", "1", ""));
        assert_eq!(text(&store.apply(pod("a", "2", "9", ""))), ["-a@1", "+a@9"]);
        assert!(store.delete(pod("unknown", "1", "1", "")).is_empty());
    }
}
