//! The database and the raft node above it, as one thing that can be started and stopped.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::impls::BasicNode;
use openraft::{Config, Raft, SnapshotPolicy};

use crate::disk::{Disk, open_error};
use crate::error::OpenError;
use crate::home::Home;
use crate::options::SyncPolicy;
use crate::raft::checkpoint;
use crate::raft::log::LogStore;
use crate::raft::machine::Machine;
use crate::raft::network::NoPeers;
use crate::raft::types::Types;
use crate::raft::writer::Fault;
use crate::view::View;

/// The one member's id.
const MEMBER: u64 = 1;
/// How long closing waits for readers of the database.
const CLOSING: Duration = Duration::from_secs(5);

/// A running raft node.
pub(crate) struct Engine {
    pub raft: Raft<Types, Machine>,
    pub disk: Arc<Disk>,
    pub fault: Arc<Fault>,
}

impl Engine {
    /// Opens the database, replays what the log has and the state has not, and becomes leader.
    pub async fn start(
        home: &mut Home,
        sync: Arc<dyn SyncPolicy>,
        view: &Arc<View>,
    ) -> Result<Engine, OpenError> {
        let dir = home.db();
        let damaged = |e: io::Error| match e.kind() {
            io::ErrorKind::InvalidData => match open_error(&dir, &e.to_string()) {
                OpenError::Io { path, source } => OpenError::Damaged { path, detail: source.to_string() },
                named => named,
            },
            _ => OpenError::Io { path: dir.clone(), source: e },
        };
        let disk = Arc::new(Disk::open(&dir, !home.existed)?);
        home.settle()?;
        let snapshots = home.snapshots();
        checkpoint::clean(&snapshots).map_err(damaged)?;
        let fault = Arc::new(Fault::default());
        let machine = Machine::open(disk.clone(), view.clone(), fault.clone(), snapshots).map_err(damaged)?;
        let log = LogStore::open(disk.clone(), sync, fault.clone()).map_err(damaged)?;
        let reached = log.last_index().max(disk.applied().map_err(damaged)?.0.map_or(0, |id| id.index));
        let mark = home.mark()?;
        if reached < mark {
            let detail = format!("its log ends at entry {reached} and was at {mark} before: files were lost");
            return Err(OpenError::Damaged { path: dir, detail });
        }
        let raft = Raft::new(MEMBER, config()?, NoPeers, log, machine)
            .await
            .map_err(|e| OpenError::Damaged { path: dir.clone(), detail: e.to_string() })?;
        let engine = Engine { raft, disk, fault };
        match engine.lead().await {
            Ok(()) => {
                view.set_disk(Some(engine.disk.clone()));
                Ok(engine)
            }
            Err(detail) => {
                engine.stop(home, view).await;
                Err(OpenError::NotReady(detail))
            }
        }
    }

    /// Becomes leader of the cluster of one, and waits until everything in the log is applied.
    async fn lead(&self) -> Result<(), String> {
        let initialized = self.raft.is_initialized().await.map_err(|e| e.to_string())?;
        if initialized {
            // Nobody else could be leader: no reason to wait for an election timeout.
            self.raft.trigger().elect(false).await.map_err(|e| e.to_string())?;
        } else {
            let members = BTreeMap::from([(MEMBER, BasicNode::default())]);
            self.raft.initialize(members).await.map_err(|e| e.to_string())?;
        }
        self.raft.wait_for_recovery(None).await.map_err(|e| e.to_string())?;
        Ok(())
    }

    /// The error that stopped the node, if one did.
    pub fn failure(&self) -> Option<String> {
        use openraft::async_runtime::watch::WatchReceiver;
        let metrics = self.raft.metrics();
        let state = metrics.borrow_watched().running_state.clone();
        state.err().map(|e| e.to_string())
    }

    /// Stops the node and closes the database.
    pub async fn stop(self, home: &Home, view: &View) {
        view.set_disk(None);
        if let Err(e) = self.raft.shutdown().await {
            tracing::error!(error = %e, "the raft node did not stop cleanly");
        }
        let Engine { raft, disk, fault } = self;
        drop(raft);
        if fault.get().is_none()
            && let Err(e) = note_position(home, &disk)
        {
            tracing::warn!(error = %e, "the store was not closed cleanly; nothing acknowledged is lost");
        }
        // Its directory can be opened again when the last reader has let go of it.
        let started = Instant::now();
        let mut disk = disk;
        while let Err(shared) = Arc::try_unwrap(disk) {
            disk = shared;
            if started.elapsed() > CLOSING {
                tracing::warn!("the database is still being read while it is closed");
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Makes everything durable and notes how far it is.
pub(crate) fn note_position(home: &Home, disk: &Disk) -> io::Result<()> {
    let (applied, _) = disk.applied()?;
    disk.sync()?;
    home.set_mark(applied.map_or(0, |id| id.index))
}

fn config() -> Result<Arc<Config>, OpenError> {
    let config = Config {
        cluster_name: "keelson".into(),
        // Timers matter only between members; with one they are wake-ups for nothing.
        heartbeat_interval: 500,
        election_timeout_min: 1500,
        election_timeout_max: 3000,
        enable_pre_vote: Some(true),
        // By bytes, not entries: see the proposer.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: 64,
        api_channel_size: Some(64),
        notification_channel_size: Some(256),
        state_machine_channel_size: Some(64),
        ..Config::default()
    };
    config.validate().map(Arc::new).map_err(|e| OpenError::NotReady(e.to_string()))
}
