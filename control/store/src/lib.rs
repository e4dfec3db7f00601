//! One ordered history of objects: an openraft log on RocksDB, one revision counter for everything, and in memory
//! per kind an ordered map and a ring of events that readers and watchers share.
//!
//! - A write is acknowledged when the log entry that holds it is synced and applied.
//! - The revision is a counter advanced by each successful write; it is the object's resourceVersion.
//! - Reads, lists at any kept revision and watches take no lock and never wait for a write.
//!
//! Never knows what a Pod is, and shows no type of openraft or RocksDB.

mod codec;
mod compact;
mod core;
mod disk;
mod engine;
mod error;
mod event;
mod home;
mod object;
mod options;
mod proposer;
mod raft;
mod ring;
mod room;
mod snapshot;
mod spare;
mod store;
mod tree;
mod view;
mod watcher;

pub use error::{HistoryError, OpenError, WriteError};
pub use event::{Event, EventKind};
pub use object::{Expect, MAX_DOCUMENT, MAX_KEY, Outcome, Stored, Template, Write};
pub use options::{Options, SyncPolicy, WalSync};
pub use snapshot::Snapshot;
pub use store::Store;
pub use watcher::{Changes, Place, Watcher};

#[cfg(test)]
mod tests;
