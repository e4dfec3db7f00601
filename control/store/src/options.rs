//! What a caller decides when it opens a store.

use std::io;
use std::path::PathBuf;

/// How a store is opened. [`Options::new`] gives the values for production.
pub struct Options {
    /// The store's own directory; made (mode 0700) when it is missing.
    pub dir: PathBuf,
    /// Events per kind kept in memory for watchers. Older ones are read from disk.
    pub history_events_per_kind: usize,
    /// Bytes of documents per kind kept alive by the events in memory.
    pub history_bytes_per_kind: usize,
    /// Revisions of history kept on disk for exact reads and for watches that resume.
    pub history_revisions: u64,
    /// Bytes of log after which a raft snapshot is made and the log before it dropped. The log that a start has to
    /// read is about as long.
    pub snapshot_log_bytes: usize,
    /// Bytes that must be free on the file system for a write to be taken. What is below is left for the store's
    /// own housekeeping, so that a full disk refuses writes and breaks nothing.
    pub reserve_bytes: u64,
    /// How the log is made durable.
    pub sync: Box<dyn SyncPolicy>,
}

impl Options {
    /// The values for production.
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        Options {
            dir: dir.into(),
            history_events_per_kind: 16_384,
            history_bytes_per_kind: 4 << 20,
            history_revisions: 100_000,
            snapshot_log_bytes: 64 << 20,
            reserve_bytes: 64 << 20,
            sync: Box::new(WalSync),
        }
    }
}

/// The one place where bytes become durable. Production uses [`WalSync`]; tests hold a sync back, count it, fail
/// it or leave it out, to show that no reply leaves before the sync that covers it.
pub trait SyncPolicy: Send + Sync + 'static {
    /// Called once per batch, after its bytes were handed to the operating system and before anything in it is
    /// acknowledged. `wal` makes them durable and blocks meanwhile.
    fn sync(&self, wal: &dyn Fn() -> io::Result<()>) -> io::Result<()>;
}

/// Syncs, always.
#[derive(Clone, Copy, Debug, Default)]
pub struct WalSync;

impl SyncPolicy for WalSync {
    fn sync(&self, wal: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
        wal()
    }
}
