//! Reading state back: the current objects at start, a past state, a page of events.
//!
//! Never writes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use openraft::alias::{LogIdOf, StoredMembershipOf};
use rocksdb::{DBRawIterator, ReadOptions, Snapshot};

use super::records::{self, Op};
use super::{Disk, EVENTS, META, OBJECTS, io_error};
use crate::codec;
use crate::event::{Event, EventKind};
use crate::object::Stored;
use crate::raft::types::Types;
use crate::tree::{Entry, Tree};

/// Versions of one key stepped over before a seek is cheaper.
const STEPS: usize = 8;

pub(crate) const APPLIED: &str = "applied";
pub(crate) const MEMBERS: &str = "members";
const FLOOR: &str = "floor/";

/// Everything the state machine needs at start.
pub(crate) struct Loaded {
    pub applied: Option<LogIdOf<Types>>,
    pub members: StoredMembershipOf<Types>,
    pub revision: u64,
    pub kinds: HashMap<Arc<str>, LoadedKind>,
}

pub(crate) struct LoadedKind {
    pub tree: Tree,
    /// Revision of the kind's newest event.
    pub last: u64,
    /// History up to and including this revision has been dropped.
    pub oldest: u64,
}

/// In front of the names of all floors.
pub(crate) fn floor_prefix() -> &'static str {
    FLOOR
}

/// The name under which a kind's floor is kept.
pub(crate) fn floor_name(kind: &str) -> String {
    format!("{FLOOR}{kind}")
}

impl Disk {
    /// How far the state machine is, without its objects.
    pub fn applied(&self) -> io::Result<(Option<LogIdOf<Types>>, u64)> {
        self.meta(APPLIED)?.map_or(Ok((None, 0)), |bytes| codec::decode_applied(&bytes))
    }

    pub fn members(&self) -> io::Result<StoredMembershipOf<Types>> {
        self.meta(MEMBERS)?.map_or_else(|| Ok(Default::default()), |bytes| codec::decode_members(&bytes))
    }

    pub fn load(&self) -> io::Result<Loaded> {
        let (applied, revision) = self.applied()?;
        let mut kinds: HashMap<Arc<str>, LoadedKind> = HashMap::new();
        for (name, tree) in self.load_trees()? {
            kinds.insert(name, LoadedKind { tree, last: 0, oldest: 0 });
        }
        for (name, oldest) in self.load_floors()? {
            kinds.entry(name.into()).or_insert_with(LoadedKind::empty).oldest = oldest;
        }
        for (name, last) in self.load_last_events()? {
            kinds.entry(name.into()).or_insert_with(LoadedKind::empty).last = last;
        }
        for kind in kinds.values_mut() {
            kind.last = kind.last.max(kind.oldest);
        }
        Ok(Loaded { applied, members: self.members()?, revision, kinds })
    }

    /// The newest version of every object that is not deleted.
    fn load_trees(&self) -> io::Result<Vec<(Arc<str>, Tree)>> {
        let mut trees: Vec<(Arc<str>, Tree)> = Vec::new();
        let mut entries: Vec<Arc<Entry>> = Vec::new();
        let mut current: Arc<str> = Arc::from("");
        let mut cursor = Cursor::start(self.iterator(OBJECTS, scan_options())?, &[])?;
        while let Some(found) = cursor.object()? {
            if *found.kind != *current {
                finish(&mut trees, &current, &mut entries);
                current = found.kind.as_str().into();
            }
            if found.op != Op::Deleted {
                entries.push(found.entry());
            }
            cursor.skip_versions(&found)?;
        }
        finish(&mut trees, &current, &mut entries);
        Ok(trees)
    }

    fn load_floors(&self) -> io::Result<Vec<(String, u64)>> {
        let mut floors = Vec::new();
        let mut iter = self.iterator(META, ReadOptions::default())?;
        iter.seek(FLOOR);
        while let (Some(key), Some(value)) = (iter.key(), iter.value()) {
            let Some(kind) = key.strip_prefix(FLOOR.as_bytes()) else { break };
            floors.push((String::from_utf8_lossy(kind).into_owned(), codec::Reader(value).u64()?));
            iter.next();
        }
        iter.status().map_err(io_error)?;
        Ok(floors)
    }

    /// The newest event of each kind: one seek per kind.
    fn load_last_events(&self) -> io::Result<Vec<(String, u64)>> {
        let mut last = Vec::new();
        let mut iter = self.iterator(EVENTS, ReadOptions::default())?;
        iter.seek_to_last();
        while let Some(key) = iter.key() {
            let revision = records::event_revision(key)?;
            let kind = String::from_utf8_lossy(&key[..key.len() - 9]).into_owned();
            iter.seek_for_prev(records::kind_prefix(&kind));
            last.push((kind, revision));
        }
        iter.status().map_err(io_error)?;
        Ok(last)
    }

    /// The kind as it was at `revision`, which the caller knows to be kept.
    pub fn tree_at(&self, kind: &str, revision: u64, kept: impl Fn() -> bool) -> io::Result<Option<Tree>> {
        let snapshot = self.db.snapshot();
        if !kept() {
            return Ok(None);
        }
        let mut options = scan_options();
        options.set_iterate_upper_bound(records::kind_end(kind));
        let iter = snapshot.raw_iterator_cf_opt(&self.cf(OBJECTS)?, options);
        let mut cursor = Cursor::start(iter, &records::kind_prefix(kind))?;
        let mut entries = Vec::new();
        while let Some(mut found) = cursor.object()? {
            if found.revision > revision {
                match cursor.version_at(&found, revision)? {
                    Some(older) => found = older,
                    None => continue,
                }
            }
            if found.op != Op::Deleted {
                entries.push(found.entry());
            }
            cursor.skip_versions(&found)?;
        }
        Ok(Some(Tree::from_sorted(entries)))
    }

    /// At most `limit` events of the kind with `after` < revision <= `upto`. `None` when `kept` says, after the
    /// view of the disk was fixed, that history after `after` is no longer complete.
    pub fn events(
        &self,
        kind: &str,
        (after, upto): (u64, u64),
        limit: usize,
        kept: impl Fn() -> bool,
    ) -> io::Result<Option<Vec<Arc<Event>>>> {
        let snapshot = self.db.snapshot();
        if !kept() {
            return Ok(None);
        }
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(records::event_key(kind, upto.saturating_add(1)));
        let mut iter = snapshot.raw_iterator_cf_opt(&self.cf(EVENTS)?, options);
        iter.seek(records::event_key(kind, after.saturating_add(1)));
        let mut events = Vec::new();
        while events.len() < limit
            && let (Some(key), Some(value)) = (iter.key(), iter.value())
        {
            let revision = records::event_revision(key)?;
            events.push(Arc::new(self.event(&snapshot, kind, revision, value)?));
            iter.next();
        }
        iter.status().map_err(io_error)?;
        Ok(Some(events))
    }

    fn event(&self, at: &Snapshot<'_>, kind: &str, revision: u64, value: &[u8]) -> io::Result<Event> {
        let (op, previous, key) = records::parse_event_value(value)?;
        let document = |revision: u64| -> io::Result<Stored> {
            let key = records::object_key(kind, key, revision);
            let value = at.get_pinned_cf(&self.cf(OBJECTS)?, &key).map_err(io_error)?;
            let value = value.ok_or_else(|| {
                let detail = format!("revision {revision} of {kind} has an event and no document");
                io::Error::new(io::ErrorKind::InvalidData, detail)
            })?;
            let (_, _, bytes) = records::parse_object_value(&value)?;
            Ok(Stored { revision, bytes: Bytes::copy_from_slice(bytes) })
        };
        Ok(Event {
            revision,
            key: key.into(),
            kind: match op {
                Op::Deleted => EventKind::Delete,
                op => EventKind::Put { created: op == Op::Created },
            },
            value: document(revision)?,
            previous: if previous == 0 { None } else { Some(document(previous)?) },
        })
    }

    fn iterator(&self, family: &'static str, options: ReadOptions) -> io::Result<DBRawIterator<'_>> {
        Ok(self.db.raw_iterator_cf_opt(&self.cf(family)?, options))
    }
}

impl LoadedKind {
    fn empty() -> LoadedKind {
        LoadedKind { tree: Tree::default(), last: 0, oldest: 0 }
    }
}

/// A scan reads each block once: it must not push the working set out of the small cache.
fn scan_options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    options.set_readahead_size(256 << 10);
    options
}

fn finish(trees: &mut Vec<(Arc<str>, Tree)>, kind: &Arc<str>, entries: &mut Vec<Arc<Entry>>) {
    if !entries.is_empty() {
        trees.push((kind.clone(), Tree::from_sorted(std::mem::take(entries))));
    }
}

/// One version of an object, copied out of an iterator.
struct Found {
    kind: String,
    key: String,
    revision: u64,
    op: Op,
    version_at: u32,
    document: Bytes,
}

impl Found {
    fn entry(&self) -> Arc<Entry> {
        Arc::new(Entry {
            key: self.key.as_str().into(),
            stored: Stored { revision: self.revision, bytes: self.document.clone() },
            version_at: self.version_at,
        })
    }
}

/// Walks the versions of objects.
struct Cursor<'a>(DBRawIterator<'a>);

impl<'a> Cursor<'a> {
    fn start(mut iter: DBRawIterator<'a>, from: &[u8]) -> io::Result<Cursor<'a>> {
        iter.seek(from);
        Ok(Cursor(iter))
    }

    /// The version under the cursor; `None` at the end.
    fn object(&self) -> io::Result<Option<Found>> {
        let (Some(key), Some(value)) = (self.0.key(), self.0.value()) else {
            self.0.status().map_err(io_error)?;
            return Ok(None);
        };
        let (kind, key, revision) = records::parse_object_key(key)?;
        let (op, version_at, document) = records::parse_object_value(value)?;
        Ok(Some(Found {
            kind: kind.to_owned(),
            key: key.to_owned(),
            revision,
            op,
            version_at,
            document: Bytes::copy_from_slice(document),
        }))
    }

    /// Moves to the first version of the next object.
    fn skip_versions(&mut self, found: &Found) -> io::Result<()> {
        let prefix = records::object_prefix(&found.kind, &found.key);
        for _ in 0..STEPS {
            self.0.next();
            if !self.0.key().is_some_and(|key| key.starts_with(&prefix)) {
                return self.0.status().map_err(io_error);
            }
        }
        self.0.seek(after_versions(prefix));
        self.0.status().map_err(io_error)
    }

    /// Moves to the version of the same object in force at `revision`. `None`: it did not exist, and the cursor
    /// stands on the next object.
    fn version_at(&mut self, found: &Found, revision: u64) -> io::Result<Option<Found>> {
        self.0.seek(records::object_key(&found.kind, &found.key, revision));
        let older = self.object()?;
        Ok(older.filter(|o| o.kind == found.kind && o.key == found.key))
    }
}

/// The smallest key after all versions of the object with this prefix.
fn after_versions(mut prefix: Vec<u8>) -> Vec<u8> {
    if let Some(end) = prefix.last_mut() {
        *end = 1;
    }
    prefix
}
