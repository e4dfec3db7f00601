//! The types openraft is parameterised with. Standard leader ids: one leader per term.

use std::fmt;
use std::sync::Arc;

use crate::object::{Outcome, Write};

openraft::declare_raft_types!(
    /// openraft's types for this store.
    pub(crate) Types:
        D = Batch,
        R = Reply,
        LeaderId = openraft::impls::leader_id_std::LeaderId<Self::Term, Self::NodeId>,
);

pub(crate) type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>;
pub(crate) type LogEntry = openraft::alias::EntryOf<Types>;

/// What one log entry carries: the writes that arrived together.
#[derive(Clone, Debug)]
pub(crate) struct Batch(pub Arc<[Write]>);

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} writes", self.0.len())
    }
}

/// The outcomes of a [`Batch`], in its order; empty for entries of openraft's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply(pub Vec<Outcome>);
