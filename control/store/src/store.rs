//! The handle that everyone holds, and the thread behind it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::Engine;
use crate::error::{HistoryError, OpenError, WriteError};
use crate::home::Home;
use crate::object::{Outcome, Stored, Write};
use crate::options::{Options, SyncPolicy};
use crate::proposer::{Exit, Proposer, Request, refuse};
use crate::room::Room;
use crate::snapshot::Snapshot;
use crate::view::View;
use crate::watcher::{Changes, Watcher};

/// Writes that may wait to be taken up.
const QUEUE: usize = 1024;
/// Between attempts to open the database again after it has failed.
const RETRY: Duration = Duration::from_millis(500);

/// The store. A clone is the same store; it is closed by [`Store::shutdown`] or with its last clone.
#[derive(Clone)]
pub struct Store {
    view: Arc<View>,
    requests: mpsc::Sender<Request>,
    stop: Arc<watch::Sender<bool>>,
    stopped: watch::Receiver<bool>,
}

impl Store {
    /// Opens the store and brings it to where it was: every acknowledged write is there when this returns.
    pub async fn open(options: Options) -> Result<Store, OpenError> {
        let view = Arc::new(View::new(options.history_events_per_kind, options.history_bytes_per_kind));
        let (requests, queue) = mpsc::channel(QUEUE);
        let (stop, stopping) = watch::channel(false);
        let (stopped_sender, stopped) = watch::channel(false);
        let (opened_sender, opened) = oneshot::channel();
        let dir = options.dir.clone();
        let keeper = Keeper {
            view: view.clone(),
            queue,
            stopping,
            history_revisions: options.history_revisions,
            snapshot_log_bytes: options.snapshot_log_bytes,
        };
        std::thread::Builder::new()
            .name("keelson-store".into())
            .spawn(move || {
                keeper.run(options, opened_sender);
                stopped_sender.send_replace(true);
            })
            .map_err(|source| OpenError::Io { path: dir, source })?;
        opened.await.map_err(|_| OpenError::NotReady("the store's thread ended".into()))??;
        Ok(Store { view, requests, stop: Arc::new(stop), stopped })
    }

    /// Writes, and returns when the write is durable and visible. When the future is dropped half-way the write
    /// may still be done.
    pub async fn write(&self, write: Write) -> Result<Outcome, WriteError> {
        write.check()?;
        if *self.stop.borrow() {
            return Err(WriteError::ShuttingDown);
        }
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { write, reply }).await.map_err(|_| WriteError::ShuttingDown)?;
        answer
            .await
            .map_err(|_| WriteError::Unavailable("the store ended before the write was done".into()))?
    }

    /// The last revision that is visible.
    pub fn revision(&self) -> u64 {
        self.view.revision()
    }

    /// The last revision that readers of the kind may have seen; for a moment it may be later than that of all.
    pub fn revision_of(&self, kind: &str) -> u64 {
        self.view.revision_of(&self.view.kind(kind))
    }

    /// The object as it is now.
    pub fn get(&self, kind: &str, key: &str) -> Option<Stored> {
        self.view.entry(kind, key).map(|entry| entry.stored.clone())
    }

    /// All objects of the kind as they are now.
    pub fn snapshot(&self, kind: &str) -> Snapshot {
        let (revision, tree) = self.view.snapshot(kind);
        Snapshot::new(revision, tree)
    }

    /// All objects of the kind as they were at `revision`. From memory for the recent past; further back it reads
    /// the disk and takes as long as that takes.
    pub fn snapshot_at(&self, kind: &str, revision: u64) -> Result<Snapshot, HistoryError> {
        Ok(Snapshot::new(revision, self.view.tree_at(kind, revision)?))
    }

    /// Follows the kind's objects whose key starts with `prefix`, from the first event after revision `after`.
    pub fn watch(&self, kind: &str, prefix: &str, after: u64) -> Result<Watcher, HistoryError> {
        let kind = self.view.kind_at(kind, after)?;
        Ok(Watcher::new(self.view.clone(), kind, prefix, after))
    }

    /// Tells of new events of the kind, for whoever wakes several watchers at once.
    pub fn changes(&self, kind: &str) -> Changes {
        Changes::new(self.view.clone(), self.view.kind(kind))
    }

    /// Whether writes are taken; if not, why.
    pub fn health(&self) -> Result<(), String> {
        if *self.stopped.borrow() {
            return Err("the store is closed".into());
        }
        self.view.trouble().map_or(Ok(()), |trouble| Err(trouble.to_string()))
    }

    /// Closes the store: writes already taken are finished, others refused, and the directory is free when this
    /// returns. Watchers get what is left for them and then [`HistoryError::Closed`].
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        let mut stopped = self.stopped.clone();
        // An error means that the thread is gone, which is what is waited for.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

/// The store's thread: it opens the engine, serves writes, and opens it again after a failure of the disk.
struct Keeper {
    view: Arc<View>,
    queue: mpsc::Receiver<Request>,
    stopping: watch::Receiver<bool>,
    history_revisions: u64,
    snapshot_log_bytes: usize,
}

impl Keeper {
    fn run(self, options: Options, opened: oneshot::Sender<Result<(), OpenError>>) {
        // Everything of raft runs on this one thread: handing work between its tasks costs no wake-up.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(2)
            .thread_name("keelson-store-bg")
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.keep(options, opened)),
            Err(source) => {
                let _ = opened.send(Err(OpenError::Io { path: options.dir, source }));
            }
        }
    }

    async fn keep(mut self, options: Options, opened: oneshot::Sender<Result<(), OpenError>>) {
        let sync: Arc<dyn SyncPolicy> = options.sync.into();
        let mut room = Room::new(options.dir.clone(), options.reserve_bytes);
        let started = match Home::enter(&options.dir) {
            Ok(mut home) => {
                room.make();
                Engine::start(&mut home, sync.clone(), &self.view).await.map(|engine| (home, engine))
            }
            Err(e) => Err(e),
        };
        let (mut home, mut engine) = match started {
            Ok(started) => started,
            Err(e) => {
                let _ = opened.send(Err(e));
                return;
            }
        };
        // Full or not, the store is open; writes are told.
        let _ = room.check();
        tracing::info!(dir = %home.dir().display(), revision = self.view.revision(), "store open");
        if opened.send(Ok(())).is_err() {
            engine.stop(&home, &self.view).await;
            return;
        }
        loop {
            let exit = self.serve(&engine, &home, &mut room).await;
            let Exit::Failed(error) = exit else {
                engine.stop(&home, &self.view).await;
                break;
            };
            tracing::error!(%error, "the store has failed; reads go on, writes are refused until it is open again");
            self.view.set_trouble(Some(error.to_string()));
            engine = match self.reopen(engine, &mut home, &sync, &mut room, error).await {
                Some(engine) => engine,
                None => break,
            };
            self.view.set_trouble(None);
            tracing::info!(revision = self.view.revision(), "store open again");
        }
        self.view.close();
        self.queue.close();
        while let Some(request) = self.queue.recv().await {
            refuse(&mut vec![request], &WriteError::ShuttingDown);
        }
    }

    async fn serve(&mut self, engine: &Engine, home: &Home, room: &mut Room) -> Exit {
        let proposer = Proposer {
            engine,
            home,
            view: &self.view,
            room,
            requests: &mut self.queue,
            stop: &mut self.stopping,
            history_revisions: self.history_revisions,
            snapshot_log_bytes: self.snapshot_log_bytes,
        };
        proposer.run().await
    }

    /// Opens the engine afresh when there is hope, and refuses writes meanwhile; the broken one serves reads as
    /// long as possible. `None`: the store is being closed, and everything is stopped.
    async fn reopen(
        &mut self,
        broken: Engine,
        home: &mut Home,
        sync: &Arc<dyn SyncPolicy>,
        room: &mut Room,
        mut error: WriteError,
    ) -> Option<Engine> {
        let mut broken = Some(broken);
        loop {
            if !self.refuse_for(RETRY, &error).await {
                if let Some(broken) = broken.take() {
                    broken.stop(home, &self.view).await;
                }
                return None;
            }
            if let Err(full) = room.check() {
                error = full;
            } else {
                if let Some(broken) = broken.take() {
                    broken.stop(home, &self.view).await;
                }
                match Engine::start(home, sync.clone(), &self.view).await {
                    Ok(engine) => return Some(engine),
                    Err(e) => error = WriteError::Io(e.to_string()),
                }
            }
            self.view.set_trouble(Some(error.to_string()));
        }
    }

    /// Answers every write with the error for a while. False: the store is being closed.
    async fn refuse_for(&mut self, time: Duration, error: &WriteError) -> bool {
        let wait = tokio::time::sleep(time);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => return true,
                _ = self.stopping.wait_for(|stop| *stop) => return false,
                request = self.queue.recv() => match request {
                    Some(request) => refuse(&mut vec![request], error),
                    None => return false,
                },
            }
        }
    }
}
