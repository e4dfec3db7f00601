//! The one thread that writes the log: group commit.
//!
//! Whatever has arrived while the last batch was being synced goes into the next batch with one sync; nothing
//! waits when there is nothing to wait for. Order is kept: votes, entries, truncations and purges reach the disk as
//! they were asked for. Nothing is acknowledged before the sync that covers it.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use openraft::storage::IOFlushed;
use rocksdb::WriteBatch;
use tokio::sync::oneshot;

use super::log::Tail;
use super::types::Types;
use crate::disk::{Disk, LOG, META};
use crate::options::SyncPolicy;

pub(crate) const VOTE: &str = "vote";
pub(crate) const COMMITTED: &str = "committed";
pub(crate) const PURGED: &str = "purged";

/// Jobs that may wait for the thread.
const QUEUE: usize = 256;
/// Bytes after which a batch is written although more is waiting.
const BATCH_BYTES: usize = 4 << 20;

type Done = oneshot::Sender<io::Result<()>>;

/// One change of the log.
pub(crate) enum Job {
    Append {
        records: Vec<(u64, Vec<u8>)>,
        flushed: IOFlushed<Types>,
    },
    Vote {
        vote: Vec<u8>,
        done: Done,
    },
    /// Removes this index and all after it.
    Truncate {
        from: u64,
        done: Done,
    },
    /// Removes this index and all before it.
    Purge {
        upto: u64,
        purged: Vec<u8>,
        done: Done,
    },
}

/// The first error of the disk, for those who have to explain why nothing works.
#[derive(Default)]
pub(crate) struct Fault(OnceLock<(io::ErrorKind, String)>);

impl Fault {
    /// Notes the error if it is the first, and passes it on.
    pub fn note(&self, e: io::Error) -> io::Error {
        let (kind, text) = self.0.get_or_init(|| (e.kind(), e.to_string()));
        io::Error::new(*kind, text.clone())
    }

    pub fn get(&self) -> Option<(io::ErrorKind, &str)> {
        self.0.get().map(|(kind, text)| (*kind, text.as_str()))
    }
}

/// The thread's handle; the thread ends when it is dropped.
pub(crate) struct LogWriter {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    pub fn start(
        disk: Arc<Disk>,
        tail: Arc<Tail>,
        sync: Arc<dyn SyncPolicy>,
        fault: Arc<Fault>,
    ) -> io::Result<LogWriter> {
        let (jobs, queue) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("keelson-log".into())
            .spawn(move || run(&queue, &Writer { disk, tail, sync, fault }))?;
        Ok(LogWriter { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues a job; waits when too many are queued.
    pub fn send(&self, job: Job) -> io::Result<()> {
        let stopped = || io::Error::new(io::ErrorKind::BrokenPipe, "the log writer has stopped");
        self.jobs.as_ref().ok_or_else(stopped)?.send(job).map_err(|_| stopped())
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the log writer panicked");
        }
    }
}

struct Writer {
    disk: Arc<Disk>,
    tail: Arc<Tail>,
    sync: Arc<dyn SyncPolicy>,
    fault: Arc<Fault>,
}

fn run(queue: &Receiver<Job>, writer: &Writer) {
    while let Ok(first) = queue.recv() {
        let mut bytes = cost(&first);
        let mut jobs = vec![first];
        while bytes < BATCH_BYTES
            && let Ok(job) = queue.try_recv()
        {
            bytes += cost(&job);
            jobs.push(job);
        }
        // After an error the disk's content is unknown: nothing more is written until it is opened afresh.
        let result = match writer.fault.get() {
            Some((kind, text)) => Err(io::Error::new(kind, text)),
            None => writer.write(&jobs).map_err(|e| writer.fault.note(e)),
        };
        for job in jobs {
            writer.acknowledge(job, &result);
        }
    }
}

fn cost(job: &Job) -> usize {
    match job {
        Job::Append { records, .. } => records.iter().map(|(_, record)| record.len()).sum(),
        _ => 64,
    }
}

impl Writer {
    fn write(&self, jobs: &[Job]) -> io::Result<()> {
        let (log, meta) = (self.disk.cf(LOG)?, self.disk.cf(META)?);
        let mut batch = WriteBatch::default();
        // A hint for the next start: it rides along and is never a reason to write.
        if let Some(committed) = self.tail.unsaved_committed() {
            batch.put_cf(&meta, COMMITTED, committed);
        }
        for job in jobs {
            match job {
                Job::Append { records, .. } => {
                    for (index, record) in records {
                        batch.put_cf(&log, index.to_be_bytes(), record);
                    }
                }
                Job::Vote { vote, .. } => batch.put_cf(&meta, VOTE, vote),
                Job::Truncate { from, .. } => {
                    batch.delete_range_cf(&log, from.to_be_bytes(), u64::MAX.to_be_bytes());
                }
                Job::Purge { upto, purged, .. } => {
                    batch.put_cf(&meta, PURGED, purged);
                    batch.delete_range_cf(&log, 0u64.to_be_bytes(), (upto + 1).to_be_bytes());
                }
            }
        }
        self.disk.write(batch)?;
        self.sync.sync(&|| self.disk.sync())
    }

    fn acknowledge(&self, job: Job, result: &io::Result<()>) {
        let copy = || match result {
            Ok(()) => Ok(()),
            Err(e) => Err(io::Error::new(e.kind(), e.to_string())),
        };
        match job {
            Job::Append { records, flushed } => {
                if let (Ok(()), Some((last, _))) = (result, records.last()) {
                    self.tail.flushed(*last);
                }
                flushed.io_completed(copy());
            }
            // Whoever asked may be gone: then nobody needs the answer.
            Job::Vote { done, .. } | Job::Truncate { done, .. } | Job::Purge { done, .. } => {
                let _ = done.send(copy());
            }
        }
    }
}
