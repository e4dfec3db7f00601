//! From concurrent writes to log entries: whatever arrived while the last entry was on its way makes the next one.
//!
//! Nothing waits when nothing is on its way. Also keeps house between writes: asks for snapshots, drops old
//! history, sees that the disk has room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use openraft::Raft;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::compact;
use crate::engine::Engine;
use crate::error::WriteError;
use crate::home::Home;
use crate::object::{Outcome, Write};
use crate::raft::machine::Machine;
use crate::raft::types::{Batch, Types};
use crate::raft::writer::Fault;
use crate::room::Room;
use crate::view::View;

/// Entries on their way at a time: while one is synced, the next is put together.
const IN_FLIGHT: usize = 2;
/// Writes per entry.
const BATCH_WRITES: usize = 256;
/// Bytes per entry, roughly.
const BATCH_BYTES: usize = 2 << 20;
/// Entries in the log that ask for a snapshot, however small they are.
const SNAPSHOT_ENTRIES: u64 = 20_000;
const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// A write and where its answer goes.
pub(crate) struct Request {
    pub write: Write,
    pub reply: oneshot::Sender<Result<Outcome, WriteError>>,
}

/// Why serving ended.
pub(crate) enum Exit {
    /// The store is being closed.
    Stopped,
    /// The engine is broken.
    Failed(WriteError),
}

pub(crate) struct Proposer<'a> {
    pub engine: &'a Engine,
    pub home: &'a Home,
    pub view: &'a Arc<View>,
    pub room: &'a mut Room,
    pub requests: &'a mut mpsc::Receiver<Request>,
    pub stop: &'a mut watch::Receiver<bool>,
    pub history_revisions: u64,
    pub snapshot_log_bytes: usize,
}

impl Proposer<'_> {
    /// Serves writes until the store is closed or the engine breaks.
    pub async fn run(self) -> Exit {
        let Proposer { engine, home, view, room, requests, stop, history_revisions, snapshot_log_bytes } =
            self;
        let mut in_flight = FuturesUnordered::new();
        let mut arrived: Vec<Request> = Vec::with_capacity(BATCH_WRITES);
        let mut house = House { logged: 0, history_revisions, snapshot_log_bytes, compaction: None };
        let mut tick = tokio::time::interval(HOUSEKEEPING);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let exit = loop {
            tokio::select! {
                biased;
                Some(done) = in_flight.next() => {
                    if let Err(error) = done {
                        break Exit::Failed(error);
                    }
                }
                _ = stop.wait_for(|stop| *stop) => break Exit::Stopped,
                count = requests.recv_many(&mut arrived, BATCH_WRITES), if in_flight.len() < IN_FLIGHT => {
                    if count == 0 {
                        break Exit::Stopped;
                    }
                    if let Err(full) = room.check() {
                        view.set_trouble(Some(full.to_string()));
                        refuse(&mut arrived, &full);
                        continue;
                    }
                    for batch in split(&mut arrived) {
                        house.logged += batch.iter().map(|r| r.write.cost()).sum::<usize>();
                        in_flight.push(propose(engine.raft.clone(), engine.fault.clone(), batch));
                    }
                    if house.logged >= house.snapshot_log_bytes {
                        house.snapshot(engine, home).await;
                    }
                }
                _ = tick.tick() => {
                    if let Some(failure) = engine.failure() {
                        break Exit::Failed(explain(&engine.fault, failure));
                    }
                    view.set_trouble(room.check().err().map(|full| full.to_string()));
                    house.keep(engine, home, view).await;
                }
            }
        };
        // What was taken gets its answer, whatever it is.
        while let Some(done) = in_flight.next().await {
            drop(done);
        }
        house.finish().await;
        exit
    }
}

/// Answers all of them with the same error.
pub(crate) fn refuse(requests: &mut Vec<Request>, error: &WriteError) {
    for request in requests.drain(..) {
        // The caller may have gone away.
        let _ = request.reply.send(Err(error.clone()));
    }
}

/// Cuts what has arrived into entries of bounded size.
fn split(arrived: &mut Vec<Request>) -> Vec<Vec<Request>> {
    let mut batches = Vec::with_capacity(1);
    let mut batch = Vec::with_capacity(arrived.len());
    let mut bytes = 0;
    for request in arrived.drain(..) {
        bytes += request.write.cost();
        batch.push(request);
        if bytes >= BATCH_BYTES {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// Brings one entry through the log and hands out the outcomes. An error means that the engine is broken.
async fn propose(
    raft: Raft<Types, Machine>,
    fault: Arc<Fault>,
    batch: Vec<Request>,
) -> Result<(), WriteError> {
    let (writes, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|r| (r.write, r.reply)).unzip();
    let (error, broken) = match raft.client_write(Batch(writes.into())).await {
        Ok(response) => {
            for (reply, outcome) in replies.into_iter().zip(response.data.0) {
                let _ = reply.send(Ok(outcome));
            }
            return Ok(());
        }
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
            (WriteError::Unavailable("there is no leader".into()), false)
        }
        Err(RaftError::APIError(e)) => (WriteError::Unavailable(e.to_string()), false),
        Err(RaftError::Fatal(e)) => (explain(&fault, e.to_string()), true),
    };
    for reply in replies {
        let _ = reply.send(Err(error.clone()));
    }
    if broken { Err(error) } else { Ok(()) }
}

/// The error below the one that raft reports, if it is known.
fn explain(fault: &Fault, otherwise: String) -> WriteError {
    match fault.get() {
        Some((std::io::ErrorKind::StorageFull, text)) => WriteError::DiskFull(text.to_owned()),
        Some((_, text)) => WriteError::Io(text.to_owned()),
        None => WriteError::Unavailable(otherwise),
    }
}

/// What has to be done now and then.
struct House {
    /// Bytes proposed since the last snapshot was asked for.
    logged: usize,
    history_revisions: u64,
    snapshot_log_bytes: usize,
    compaction: Option<Compaction>,
}

struct Compaction {
    upto: u64,
    started: Instant,
    task: tokio::task::JoinHandle<std::io::Result<u64>>,
}

impl House {
    async fn keep(&mut self, engine: &Engine, home: &Home, view: &Arc<View>) {
        let entries = {
            let metrics = engine.raft.metrics();
            let metrics = metrics.borrow_watched();
            metrics.last_log_index.unwrap_or(0) - metrics.purged.map_or(0, |id| id.index)
        };
        if entries >= SNAPSHOT_ENTRIES {
            self.snapshot(engine, home).await;
        }
        self.compact(engine, view).await;
    }

    /// Asks for a snapshot, after which raft shortens the log.
    async fn snapshot(&mut self, engine: &Engine, home: &Home) {
        self.logged = 0;
        // An entry that was applied was durable before.
        let noted = engine.disk.applied().and_then(|(id, _)| home.set_mark(id.map_or(0, |id| id.index)));
        if let Err(e) = noted {
            tracing::warn!(error = %e, "the log's position cannot be noted");
        }
        if let Err(e) = engine.raft.trigger().snapshot().await {
            tracing::warn!(error = %e, "no snapshot can be asked for");
        }
    }

    async fn compact(&mut self, engine: &Engine, view: &Arc<View>) {
        if self.compaction.as_ref().is_some_and(|c| !c.task.is_finished()) {
            return;
        }
        self.finish().await;
        let upto = view.revision().saturating_sub(self.history_revisions);
        let slack = self.history_revisions / 16;
        if upto > view.compacted() + slack {
            view.set_compacted(upto);
            let (disk, view) = (engine.disk.clone(), view.clone());
            let task = tokio::task::spawn_blocking(move || compact::compact(&disk, &view, upto));
            self.compaction = Some(Compaction { upto, started: Instant::now(), task });
        }
    }

    /// Waits for a compaction under way and tells how it went.
    async fn finish(&mut self) {
        let Some(Compaction { upto, started, task }) = self.compaction.take() else { return };
        let took = started.elapsed();
        match task.await {
            Ok(Ok(events)) => tracing::debug!(upto, events, ?took, "old history dropped"),
            Ok(Err(error)) => tracing::warn!(%error, upto, "old history could not be dropped"),
            Err(error) => tracing::error!(%error, upto, "dropping old history failed"),
        }
    }
}
