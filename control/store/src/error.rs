//! What can go wrong, said so that whoever reads it knows what to do.

use std::io;
use std::path::PathBuf;

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the directory open.
    #[error("{path} is locked: another process uses this store; stop it first")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The directory holds something else, or a format that this version cannot read.
    #[error("{path}: {detail}")]
    Format {
        /// The file that says so.
        path: PathBuf,
        /// What was found and what would be understood.
        detail: String,
    },
    /// A file is damaged.
    #[error(
        "{path} is damaged: {detail}. Restore the directory from a backup, or move it away to start empty"
    )]
    Damaged {
        /// The file, as exactly as it is known.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The log could not be brought to a usable state in time.
    #[error("the store did not become ready: {0}")]
    NotReady(String),
}

/// Why a write was not acknowledged. Only [`WriteError::Unavailable`] and [`WriteError::Io`] leave open whether
/// it will be found later; with all others it was certainly not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Not writable just now (no leader, recovering); the write may or may not have been done.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The disk has too little room left. Reads go on; writes are taken again when there is room.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// The disk failed; the write may or may not have been done. Reads go on while the store tries again.
    #[error("the disk failed: {0}")]
    Io(String),
    /// The store is being closed.
    #[error("the store is shutting down")]
    ShuttingDown,
    /// Over a limit.
    #[error("{bytes} bytes are more than the limit of {limit}")]
    TooLarge {
        /// What was given.
        bytes: usize,
        /// What would be taken.
        limit: usize,
    },
    /// The caller broke the contract of [`crate::Template`] or of keys.
    #[error("malformed write: {0}")]
    Malformed(&'static str),
}

/// Why a past state or the events after it cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The history before `oldest` has been dropped.
    #[error("the requested revision has been compacted; the oldest kept is {oldest}")]
    Compacted {
        /// The smallest revision that can still be asked for.
        oldest: u64,
    },
    /// The revision has not been reached yet.
    #[error("the requested revision is in the future; the current one is {current}")]
    Future {
        /// The last applied revision.
        current: u64,
    },
    /// The disk could not be read.
    #[error("history cannot be read: {0}")]
    Io(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
