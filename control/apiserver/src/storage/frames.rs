//! Watch frames and parsed objects that the watchers of a kind share: an event is encoded once and parsed at
//! most once, however many watchers it has. A bounded window of the latest events; what has left it is encoded
//! anew for the watcher that still needs it.

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use keelson_store::{Event, Place, Stored};
use serde_json::Value;
use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

/// Events kept per kind; watchers that are within this many events of each other share.
const WINDOW: usize = 64;
/// Batches kept per kind: one for each of this many namespaces that are watched.
const BATCHES: usize = 16;

/// The types of watch events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Added,
    Modified,
    Deleted,
}

impl Type {
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Added => "ADDED",
            Type::Modified => "MODIFIED",
            Type::Deleted => "DELETED",
        }
    }
}

/// One event with what has been derived from it so far.
pub struct Shared {
    revision: u64,
    frames: [OnceLock<Bytes>; 3],
    value: OnceLock<Option<Arc<Value>>>,
    previous: OnceLock<Option<Arc<Value>>>,
}

impl Shared {
    fn new(revision: u64) -> Self {
        Self { revision, frames: Default::default(), value: OnceLock::new(), previous: OnceLock::new() }
    }

    /// The frame `{"type":T,"object":O}` of the event's own object, as clients see it.
    pub fn frame(&self, kind: Type, object: impl FnOnce() -> Bytes) -> Bytes {
        self.frames[kind as usize].get_or_init(|| frame(kind.as_str(), &object())).clone()
    }

    /// The event's object, by `read`; kept for the others that ask.
    pub fn value(&self, event: &Event, read: impl FnOnce(&Stored) -> Option<Value>) -> Option<&Arc<Value>> {
        self.value.get_or_init(|| read(&event.value).map(Arc::new)).as_ref()
    }

    /// The object before the event.
    pub fn previous(
        &self,
        event: &Event,
        read: impl FnOnce(&Stored) -> Option<Value>,
    ) -> Option<&Arc<Value>> {
        self.previous.get_or_init(|| event.previous.as_ref().and_then(read).map(Arc::new)).as_ref()
    }
}

/// One line of a watch stream.
pub fn frame(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 40);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    Bytes::from(line)
}

/// The frames of several events in a row, for all watchers that stand at the same place.
pub struct Batch {
    /// Of the keys that the watchers see.
    pub prefix: Box<str>,
    /// Where a watcher must stand.
    pub from: u64,
    /// Where it stands after these frames.
    pub to: Place,
    pub bytes: Bytes,
    /// Events in it.
    pub count: u64,
}

/// The window of one kind.
pub struct Frames {
    slots: Box<[ArcSwapOption<Shared>]>,
    batches: [ArcSwapOption<Batch>; BATCHES],
    /// Chooses the place of a batch by its prefix.
    hasher: rapidhash::fast::RandomState,
}

impl Frames {
    pub fn new() -> Self {
        Self {
            slots: (0..WINDOW).map(|_| ArcSwapOption::empty()).collect(),
            batches: Default::default(),
            hasher: rapidhash::fast::RandomState::new(),
        }
    }

    /// The batch that a watcher of these keys is to have next, if another one has gathered it already and it
    /// holds nothing newer than `upto`.
    pub fn batch(&self, prefix: &str, from: Place, upto: u64) -> Option<Arc<Batch>> {
        let batch = self.batches[self.slot(prefix)].load();
        let batch = batch.as_ref()?;
        let fits = *batch.prefix == *prefix && batch.from == from.after() && batch.to.after() <= upto;
        fits.then(|| Arc::clone(batch))
    }

    /// Keeps a batch for the others, in the place of the one before.
    pub fn keep(&self, batch: Batch) {
        self.batches[self.slot(&batch.prefix)].store(Some(Arc::new(batch)));
    }

    fn slot(&self, prefix: &str) -> usize {
        // The remainder is below BATCHES.
        (self.hasher.hash_one(prefix) % BATCHES as u64) as usize
    }

    /// What is shared of the event at `revision`. Two watchers that come at the same moment may each make one;
    /// the later one stays.
    pub fn share(&self, revision: u64) -> Arc<Shared> {
        let slot = &self.slots[(revision % WINDOW as u64) as usize];
        if let Some(shared) = &*slot.load()
            && shared.revision == revision
        {
            return Arc::clone(shared);
        }
        let shared = Arc::new(Shared::new(revision));
        slot.store(Some(Arc::clone(&shared)));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_made_once() {
        let frames = Frames::new();
        let object = Bytes::from_static(b"{}");
        let first = frames.share(7).frame(Type::Added, || object.clone());
        let second = frames.share(7).frame(Type::Added, || unreachable!("encoded already"));
        assert_eq!(&first[..], b"{\"type\":\"ADDED\",\"object\":{}}\n");
        assert_eq!(first.as_ptr(), second.as_ptr(), "shared, not encoded again");
        let later = frames.share(7 + WINDOW as u64).frame(Type::Added, || object.clone());
        assert_ne!(first.as_ptr(), later.as_ptr());
    }
}
