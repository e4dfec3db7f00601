//! openraft's log: a tail of recent entries in memory in front of the `log` family.
//!
//! The tail holds every entry that is not durable yet, so a reader sees what was appended at once, and the entries
//! just appended, so applying them reads nothing back.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use openraft::alias::{LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::types::{LogEntry, Types};
use super::writer::{COMMITTED, Fault, Job, LogWriter, PURGED, VOTE};
use crate::codec;
use crate::disk::{Disk, LOG, io_error};
use crate::options::SyncPolicy;

/// Durable entries kept for the state machine that is about to read them.
const KEPT: usize = 64;

/// What is known of the log without reading the disk.
#[derive(Default)]
pub(crate) struct Tail(Mutex<TailState>);

#[derive(Default)]
struct TailState {
    /// The newest entries, without gaps, up to `last`.
    entries: VecDeque<LogEntry>,
    last: Option<LogIdOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    committed: Option<LogIdOf<Types>>,
    committed_unsaved: bool,
    vote: Option<VoteOf<Types>>,
    /// Index of the last entry that is durable.
    flushed: u64,
}

impl Tail {
    /// The committed position, if it has changed since it was last asked for.
    pub fn unsaved_committed(&self) -> Option<Vec<u8>> {
        let mut tail = self.0.lock();
        std::mem::take(&mut tail.committed_unsaved).then(|| codec::encode_log_id(tail.committed.as_ref()))
    }

    /// Everything up to `index` is durable. Called by the writer, after the sync.
    pub fn flushed(&self, index: u64) {
        let mut tail = self.0.lock();
        tail.flushed = tail.flushed.max(index);
        while tail.entries.len() > KEPT && tail.entries.front().is_some_and(|e| e.index() <= tail.flushed) {
            tail.entries.pop_front();
        }
    }
}

/// The log of one member.
pub(crate) struct LogStore {
    reader: LogReader,
    writer: LogWriter,
}

/// Reads entries; any number of these.
#[derive(Clone)]
pub(crate) struct LogReader {
    disk: Arc<Disk>,
    tail: Arc<Tail>,
}

impl LogStore {
    /// The log as the disk has it.
    pub fn open(disk: Arc<Disk>, sync: Arc<dyn SyncPolicy>, fault: Arc<Fault>) -> io::Result<LogStore> {
        let position = |name| -> io::Result<_> {
            disk.meta(name)?.map_or(Ok(None), |bytes: Vec<u8>| codec::decode_log_id(&bytes))
        };
        let purged = position(PURGED)?;
        let vote = disk.meta(VOTE)?.map(|bytes| codec::decode_vote(&bytes)).transpose()?;
        let last = last_entry(&disk)?.map(|entry| entry.log_id).or(purged);
        let state = TailState {
            flushed: last.map_or(0, |id| id.index),
            entries: VecDeque::new(),
            committed: position(COMMITTED)?,
            committed_unsaved: false,
            last,
            purged,
            vote,
        };
        let tail = Arc::new(Tail(Mutex::new(state)));
        let writer = LogWriter::start(disk.clone(), tail.clone(), sync, fault)?;
        Ok(LogStore { reader: LogReader { disk, tail }, writer })
    }

    /// Index of the last entry, 0 if there never was one.
    pub fn last_index(&self) -> u64 {
        self.tail().last.map_or(0, |id| id.index)
    }

    /// Queues a job and waits until it is durable.
    async fn durable(&self, job: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Job) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.writer.send(job(done))?;
        answer.await.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the log writer has stopped"))?
    }

    fn tail(&self) -> parking_lot::MutexGuard<'_, TailState> {
        self.reader.tail.0.lock()
    }
}

fn last_entry(disk: &Disk) -> io::Result<Option<LogEntry>> {
    let mut iter = disk.db.raw_iterator_cf(&disk.cf(LOG)?);
    iter.seek_to_last();
    let entry = match (iter.key(), iter.value()) {
        (Some(key), Some(value)) => Some(codec::decode_entry(index_of(key)?, value)?),
        _ => None,
    };
    iter.status().map_err(io_error)?;
    Ok(entry)
}

fn index_of(key: &[u8]) -> io::Result<u64> {
    let key = key.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "log key"))?;
    Ok(u64::from_be_bytes(key))
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let tail = self.tail();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> io::Result<()> {
        self.durable(|done| Job::Vote { vote: codec::encode_vote(vote), done }).await?;
        self.tail().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<Types>>) -> io::Result<()> {
        let mut tail = self.tail();
        tail.committed = committed;
        tail.committed_unsaved = true;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogIdOf<Types>>> {
        let tail = self.tail();
        // The hint may be behind, and must not be ahead of the log.
        Ok(tail.committed.min(tail.last))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        {
            let mut tail = self.tail();
            for entry in entries {
                records.push((entry.index(), codec::encode_entry(&entry)));
                tail.last = Some(entry.log_id);
                tail.entries.push_back(entry);
            }
        }
        self.writer.send(Job::Append { records, flushed: callback })
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        self.durable(|done| Job::Truncate { from, done }).await?;
        let mut tail = self.tail();
        while tail.entries.back().is_some_and(|e| e.index() >= from) {
            tail.entries.pop_back();
        }
        tail.last = last.min(tail.last).max(tail.purged);
        tail.flushed = tail.flushed.min(from.saturating_sub(1));
        Ok(())
    }

    async fn purge(&mut self, upto: LogIdOf<Types>) -> io::Result<()> {
        let purged = codec::encode_log_id(Some(&upto));
        self.durable(|done| Job::Purge { upto: upto.index, purged, done }).await?;
        let mut tail = self.tail();
        while tail.entries.front().is_some_and(|e| e.index() <= upto.index) {
            tail.entries.pop_front();
        }
        tail.purged = Some(upto);
        tail.last = tail.last.max(Some(upto));
        Ok(())
    }
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<LogEntry>> {
        let start = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(at) => at + 1,
            Bound::Excluded(at) => *at,
            Bound::Unbounded => u64::MAX,
        };
        let (recent, first_recent) = {
            let tail = self.tail.0.lock();
            let first = tail.entries.front().map_or(u64::MAX, RaftEntry::index);
            let skip = start.saturating_sub(first) as usize;
            let take = end.saturating_sub(start.max(first)) as usize;
            (tail.entries.iter().skip(skip).take(take).cloned().collect::<Vec<_>>(), first)
        };
        if start >= first_recent {
            return Ok(recent);
        }
        // What is not in the tail is durable, so the disk has it.
        let mut entries = self.read(start, end.min(first_recent))?;
        entries.extend(recent);
        Ok(entries)
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<Types>>> {
        Ok(self.tail.0.lock().vote)
    }
}

impl LogReader {
    fn read(&self, start: u64, end: u64) -> io::Result<Vec<LogEntry>> {
        let mut iter = self.disk.db.raw_iterator_cf(&self.disk.cf(LOG)?);
        iter.seek(start.to_be_bytes());
        let mut entries = Vec::new();
        while let (Some(key), Some(value)) = (iter.key(), iter.value()) {
            let index = index_of(key)?;
            if index >= end {
                break;
            }
            entries.push(codec::decode_entry(index, value)?);
            iter.next();
        }
        iter.status().map_err(io_error)?;
        Ok(entries)
    }
}
