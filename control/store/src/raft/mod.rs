//! openraft's side of the store: its log, its state machine, its snapshots. Nothing of it is visible outside the
//! crate.

pub(crate) mod checkpoint;
pub(crate) mod log;
pub(crate) mod machine;
pub(crate) mod network;
pub(crate) mod types;
pub(crate) mod writer;
