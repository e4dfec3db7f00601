//! What becomes of an object, by what is known of its owners.

use super::graph::{FOREGROUND, ORPHAN};
use keelson_client::{Meta, Propagation};

/// An owner, looked up on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is there.
    Solid,
    /// It is there and waits for its dependents to go.
    Waiting,
    /// It is not, or another object has its name.
    Absent,
    /// Its kind is not served: nothing is concluded.
    Unknown,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Keep,
    /// Take these owners (by uid) out of the object's references.
    Unlink(Vec<String>),
    Delete(Propagation),
}

/// `owners` in the order of the object's references; `has_dependents` as far as the graph knows.
pub(super) fn plan(object: &Meta, owners: &[Owner], has_dependents: bool) -> Plan {
    let with = |state: Owner| {
        let references = object.owner_references.iter().zip(owners);
        references.filter(move |(_, o)| **o == state).map(|(r, _)| r.uid.clone()).collect::<Vec<_>>()
    };
    let (absent, waiting) = (with(Owner::Absent), with(Owner::Waiting));
    if absent.is_empty() && waiting.is_empty() {
        return Plan::Keep;
    }
    if owners.iter().any(|o| matches!(o, Owner::Solid | Owner::Unknown)) {
        return Plan::Unlink(absent.into_iter().chain(waiting).collect());
    }
    // An owner that waits wants the whole tree gone before itself.
    if !waiting.is_empty() && has_dependents {
        return Plan::Delete(Propagation::Foreground);
    }
    let has = |finalizer: &str| object.finalizers.iter().any(|f| f == finalizer);
    Plan::Delete(if has(ORPHAN) {
        Propagation::Orphan
    } else if has(FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    })
}
