//! What a write does: the rules, without any input or output.
//!
//! Deterministic: the same writes in the same order give the same state, revisions and outcomes on every member
//! and in every replay.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::records::Op;
use crate::event::{Event, EventKind};
use crate::object::{Expect, Outcome, Stored, Template, Write};
use crate::tree::{Entry, Tree};

/// The state that writes change.
#[derive(Default)]
pub(crate) struct Core {
    pub revision: u64,
    kinds: HashMap<Arc<str>, Working>,
    /// Kinds changed since the last [`Core::take_changes`], in the order of their first change.
    touched: Vec<Arc<str>>,
}

#[derive(Default)]
struct Working {
    tree: Tree,
    changes: Vec<Change>,
}

/// One write done, with what the disk has to know about it.
pub(crate) struct Change {
    pub event: Arc<Event>,
    pub op: Op,
    pub version_at: u32,
    /// Revision of the version before; 0: none.
    pub previous: u64,
}

/// What has changed in one kind.
pub(crate) struct Changed {
    pub kind: Arc<str>,
    pub tree: Tree,
    /// Never empty.
    pub changes: Vec<Change>,
}

impl Core {
    pub fn new(revision: u64, trees: impl IntoIterator<Item = (Arc<str>, Tree)>) -> Core {
        let kinds =
            trees.into_iter().map(|(kind, tree)| (kind, Working { tree, changes: Vec::new() })).collect();
        Core { revision, kinds, touched: Vec::new() }
    }

    /// Does the write if its condition holds. Only a write that is done uses up a revision.
    pub fn apply(&mut self, write: &Write) -> Outcome {
        let working = match self.kinds.get_mut(&**write.kind()) {
            Some(working) => working,
            None => self.kinds.entry(write.kind().clone()).or_default(),
        };
        let current = working.tree.get(write.key()).cloned();
        if let Some(conflict) = conflict(write, current.as_deref()) {
            return conflict;
        }
        let revision = self.revision + 1;
        let (change, entry) = match write {
            Write::Put { value, .. } => put(write.key(), revision, current.as_deref(), value),
            Write::Delete { last, .. } => match current.as_deref() {
                Some(current) => (delete(revision, current, last.as_ref()), None),
                None => return Outcome::Conflict(None),
            },
        };
        match entry {
            Some(entry) => working.tree.insert(entry),
            None => working.tree.remove(write.key()),
        };
        if working.changes.is_empty() {
            self.touched.push(write.kind().clone());
        }
        let stored = change.event.value.clone();
        working.changes.push(change);
        self.revision = revision;
        Outcome::Done(stored)
    }

    /// What has changed since the last call.
    pub fn take_changes(&mut self) -> Vec<Changed> {
        let mut out = Vec::with_capacity(self.touched.len());
        for kind in self.touched.drain(..) {
            if let Some(working) = self.kinds.get_mut(&kind) {
                let changes = std::mem::take(&mut working.changes);
                out.push(Changed { kind, tree: working.tree.clone(), changes });
            }
        }
        out
    }
}

fn conflict(write: &Write, current: Option<&Entry>) -> Option<Outcome> {
    let (expect, needs_object) = match write {
        Write::Put { expect, .. } => (*expect, false),
        Write::Delete { expect, .. } => (*expect, true),
    };
    let holds = match expect {
        Expect::Any => current.is_some() || !needs_object,
        Expect::Absent => current.is_none() && !needs_object,
        Expect::Revision(revision) => current.is_some_and(|c| c.stored.revision == revision),
    };
    if holds { None } else { Some(Outcome::Conflict(current.map(|c| c.stored.clone()))) }
}

fn put(key: &str, revision: u64, current: Option<&Entry>, value: &Template) -> (Change, Option<Arc<Entry>>) {
    let stored = Stored { revision, bytes: Bytes::from(value.splice(revision)) };
    let version_at = value.version_at as u32;
    let key = current.map_or_else(|| Arc::from(key), |c| c.key.clone());
    let entry = Arc::new(Entry { key: key.clone(), stored: stored.clone(), version_at });
    let created = current.is_none();
    let event = Event {
        revision,
        key,
        kind: EventKind::Put { created },
        value: stored,
        previous: current.map(|c| c.stored.clone()),
    };
    let op = if created { Op::Created } else { Op::Updated };
    let previous = current.map_or(0, |c| c.stored.revision);
    (Change { event: Arc::new(event), op, version_at, previous }, Some(entry))
}

fn delete(revision: u64, current: &Entry, last: Option<&Template>) -> Change {
    let (bytes, version_at) = match last {
        Some(template) => (template.splice(revision), template.version_at as u32),
        None => {
            let template = Template::from_stored(&current.stored.bytes, current.version_at as usize);
            (template.splice(revision), current.version_at)
        }
    };
    let event = Event {
        revision,
        key: current.key.clone(),
        kind: EventKind::Delete,
        value: Stored { revision, bytes: Bytes::from(bytes) },
        previous: Some(current.stored.clone()),
    };
    Change { event: Arc::new(event), op: Op::Deleted, version_at, previous: current.stored.revision }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, expect: Expect, body: &str) -> Write {
        Write::Put { kind: "k".into(), key: key.into(), expect, value: document(body) }
    }

    fn delete(key: &str, expect: Expect, last: Option<&str>) -> Write {
        Write::Delete { kind: "k".into(), key: key.into(), expect, last: last.map(document) }
    }

    fn document(body: &str) -> Template {
        Template { json: format!(r#"{{"rv":"","b":"{body}"}}"#).into_bytes(), version_at: 7 }
    }

    fn json(revision: u64, body: &str) -> String {
        format!(r#"{{"rv":"{revision}","b":"{body}"}}"#)
    }

    #[test]
    fn conditions_decide_and_conflicts_burn_no_revision() {
        let mut core = Core::default();
        let mut check = |write: Write, done: bool, revision: u64, body: Option<&str>| {
            let outcome = core.apply(&write);
            let (stored, was_done) = match outcome {
                Outcome::Done(stored) => (Some(stored), true),
                Outcome::Conflict(stored) => (stored, false),
            };
            assert_eq!(was_done, done, "{write:?}");
            let shown = stored.map(|s| (s.revision, String::from_utf8(s.bytes.to_vec()).unwrap()));
            assert_eq!(shown, body.map(|b| (revision, json(revision, b))), "{write:?}");
        };
        check(delete("a", Expect::Any, None), false, 0, None);
        check(put("a", Expect::Revision(1), "x"), false, 0, None);
        check(put("a", Expect::Absent, "one"), true, 1, Some("one"));
        check(put("a", Expect::Absent, "x"), false, 1, Some("one"));
        check(put("a", Expect::Revision(9), "x"), false, 1, Some("one"));
        check(put("a", Expect::Revision(1), "two"), true, 2, Some("two"));
        check(put("a", Expect::Any, "three"), true, 3, Some("three"));
        check(put("b", Expect::Any, "new"), true, 4, Some("new"));
        check(delete("a", Expect::Revision(2), None), false, 3, Some("three"));
        check(delete("a", Expect::Absent, None), false, 3, Some("three"));
        check(delete("a", Expect::Revision(3), None), true, 5, Some("three"));
        check(delete("b", Expect::Any, Some("final")), true, 6, Some("final"));
        check(delete("b", Expect::Any, None), false, 0, None);
        check(put("a", Expect::Absent, "again"), true, 7, Some("again"));
        assert_eq!(core.revision, 7);
    }

    #[test]
    fn changes_carry_what_the_disk_needs() {
        let mut core = Core::default();
        for write in [
            put("a", Expect::Any, "1"),
            put("a", Expect::Any, "2"),
            delete("a", Expect::Any, None),
            put("a", Expect::Any, "3"),
        ] {
            core.apply(&write);
        }
        let changed = core.take_changes();
        assert_eq!(changed.len(), 1);
        let seen: Vec<_> = changed[0].changes.iter().map(|c| (c.op, c.event.revision, c.previous)).collect();
        assert_eq!(
            seen,
            [(Op::Created, 1, 0), (Op::Updated, 2, 1), (Op::Deleted, 3, 2), (Op::Created, 4, 0)]
        );
        assert_eq!(changed[0].tree.len(), 1);
        assert!(core.take_changes().is_empty());
    }
}
