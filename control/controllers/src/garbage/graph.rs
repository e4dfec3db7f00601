//! Who owns whom, by uid: the objects of every kind with their owner references.
//!
//! An owner that is referred to but was never seen is a virtual node: it is asked for before anything is
//! concluded from its absence.

use keelson_client::views::OwnerReference;
use keelson_client::{Key, Meta, Resource};
use std::collections::{BTreeSet, HashMap};
use std::fmt;

pub(super) const ORPHAN: &str = "orphan";
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// What is to be looked into, by uid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Work {
    /// The object may have to go, or may have gone.
    Attempt(String),
    /// Its dependents are to be set free before it goes.
    Orphan(String),
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt(uid) => write!(f, "attempt {uid}"),
            Self::Orphan(uid) => write!(f, "orphan {uid}"),
        }
    }
}

/// An object; `resource` is `None` for owners of a kind that is not served.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) resource: Option<Resource>,
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) dependents: BTreeSet<String>,
    pub(super) deleting: bool,
    /// Waits for its dependents to go first.
    pub(super) foreground: bool,
    orphaning: bool,
    pub(super) is_virtual: bool,
}

/// Finds the resource of an owner reference's `apiVersion` and `kind`.
pub(super) type Mapper<'a> = &'a dyn Fn(&str, &str) -> Option<Resource>;

#[derive(Default)]
pub(super) struct Graph(HashMap<String, Node>);

impl Graph {
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.0.get(uid)
    }

    /// Uids of the objects of a kind.
    pub(super) fn uids_of(&self, resource: &Resource) -> Vec<String> {
        let of_kind = self.0.values().filter(|n| !n.is_virtual && n.resource.as_ref() == Some(resource));
        of_kind.map(|n| n.uid.clone()).collect()
    }

    /// An object is there, new or changed.
    pub(super) fn observe(&mut self, resource: Resource, meta: &Meta, mapper: Mapper<'_>) -> Vec<Work> {
        let uid = &meta.uid;
        let has = |finalizer: &str| meta.finalizers.iter().any(|f| f == finalizer);
        let (foreground, orphaning) =
            (meta.is_deleting() && has(FOREGROUND), meta.is_deleting() && has(ORPHAN));
        let old = self.0.remove(uid);
        let (dependents, old_owners) = match &old {
            Some(old) => (old.dependents.clone(), old.owners.clone()),
            None => Default::default(),
        };
        let was_foreground = old.as_ref().is_some_and(|o| o.foreground);
        let was_orphaning = old.as_ref().is_some_and(|o| o.orphaning);
        self.0.insert(
            uid.clone(),
            Node {
                resource: Some(resource),
                key: meta.key(),
                uid: uid.clone(),
                owners: meta.owner_references.clone(),
                dependents: dependents.clone(),
                deleting: meta.is_deleting(),
                foreground,
                orphaning,
                is_virtual: false,
            },
        );
        let mut work = self.relink(uid, &old_owners, &meta.owner_references, &meta.namespace, mapper);
        if orphaning && !was_orphaning {
            work.push(Work::Orphan(uid.clone()));
        }
        if foreground && !was_foreground {
            work.extend(dependents.into_iter().map(Work::Attempt));
            work.push(Work::Attempt(uid.clone()));
        }
        work
    }

    /// Enters an object with its owners, and out of those it no longer names.
    fn relink(
        &mut self,
        uid: &str,
        old: &[OwnerReference],
        new: &[OwnerReference],
        namespace: &str,
        mapper: Mapper<'_>,
    ) -> Vec<Work> {
        let mut work = Vec::new();
        let named = |owners: &[OwnerReference], owner: &str| owners.iter().any(|o| o.uid == owner);
        for owner in old {
            let still = new.iter().find(|n| n.uid == owner.uid);
            let unblocked = owner.block_owner_deletion && still.is_none_or(|n| !n.block_owner_deletion);
            if let Some(node) = self.0.get_mut(&owner.uid) {
                if still.is_none() {
                    node.dependents.remove(uid);
                }
                if (unblocked || still.is_none()) && node.foreground {
                    work.push(Work::Attempt(owner.uid.clone()));
                }
            }
        }
        for owner in new.iter().filter(|o| !named(old, &o.uid)) {
            let known = self.0.contains_key(&owner.uid);
            let node = self.0.entry(owner.uid.clone()).or_insert_with(|| stand_in(owner, namespace, mapper));
            node.dependents.insert(uid.to_owned());
            // An owner nobody has seen, or one that is waiting: either way there is something to find out.
            if !known {
                work.push(Work::Attempt(owner.uid.clone()));
            } else if node.foreground {
                work.push(Work::Attempt(uid.to_owned()));
            }
        }
        work
    }

    /// An object is gone: its dependents may have to go, its owners may have waited for it.
    pub(super) fn gone(&mut self, uid: &str) -> Vec<Work> {
        let Some(node) = self.0.remove(uid) else { return Vec::new() };
        let mut work: Vec<Work> = node.dependents.iter().cloned().map(Work::Attempt).collect();
        for owner in &node.owners {
            let Some(owner_node) = self.0.get_mut(&owner.uid) else { continue };
            owner_node.dependents.remove(uid);
            if owner_node.foreground {
                work.push(Work::Attempt(owner.uid.clone()));
            } else if owner_node.is_virtual && owner_node.dependents.is_empty() {
                self.0.remove(&owner.uid);
            }
        }
        work
    }

    /// The dependents whose references block the deletion of their owner.
    pub(super) fn blocking(&self, uid: &str) -> Vec<&Node> {
        let Some(node) = self.0.get(uid) else { return Vec::new() };
        let blocks = |n: &&Node| n.owners.iter().any(|o| o.uid == uid && o.block_owner_deletion);
        node.dependents.iter().filter_map(|d| self.0.get(d)).filter(blocks).collect()
    }

    /// Whether an object that waits for its dependents waits, through others that wait too, for itself.
    pub(super) fn waits_for_itself(&self, uid: &str) -> bool {
        let (mut seen, mut next) = (BTreeSet::new(), vec![uid]);
        while let Some(at) = next.pop() {
            for node in self.blocking(at).into_iter().filter(|n| n.foreground) {
                if node.uid == uid {
                    return true;
                }
                if seen.insert(node.uid.as_str()) {
                    next.push(&node.uid);
                }
            }
        }
        false
    }

    pub(super) fn dependents(&self, uid: &str) -> Vec<Node> {
        let Some(node) = self.0.get(uid) else { return Vec::new() };
        node.dependents.iter().filter_map(|d| self.0.get(d)).cloned().collect()
    }
}

/// The virtual node of an owner: of a namespaced kind it is in its dependent's namespace.
fn stand_in(owner: &OwnerReference, namespace: &str, mapper: Mapper<'_>) -> Node {
    let resource = mapper(&owner.api_version, &owner.kind);
    let namespaced = resource.is_some_and(|r| r.namespaced);
    Node {
        resource,
        key: Key::new(if namespaced { namespace } else { "" }, &owner.name),
        uid: owner.uid.clone(),
        owners: Vec::new(),
        dependents: BTreeSet::new(),
        deleting: false,
        foreground: false,
        orphaning: false,
        is_virtual: true,
    }
}
