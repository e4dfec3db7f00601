//! What watchers get.

use std::sync::Arc;

use crate::object::Stored;

/// One change, shared by everyone who sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The revision of the write.
    pub revision: u64,
    /// `namespace/name`, or `name`.
    pub key: Arc<str>,
    /// What was done.
    pub kind: EventKind,
    /// The state written; for a delete the object's last state, with the deletion's revision.
    pub value: Stored,
    /// The state before, for selectors that an object may have left.
    pub previous: Option<Stored>,
}

/// What an [`Event`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The object was written.
    Put {
        /// It did not exist before.
        created: bool,
    },
    /// The object was removed.
    Delete,
}
