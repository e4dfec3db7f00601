//! The data plane's task: one loop, one closed set of events.
//!
//! It never calls CRI and never awaits another of our tasks: a pod that its view does not know yet waits in
//! a list, not in the loop.

mod health;
mod requests;
mod sources;

pub use sources::Sources;

use crate::attachment::{Attached, Key};
use crate::cni::{Incoming, conflist};
use crate::engine::{Engine, Status};
use health::HealthServers;
use requests::Waiting;
use sources::{Changed, Update};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// What the agent asks.
#[derive(Debug)]
pub enum Call {
    /// The state now.
    Status(oneshot::Sender<Status>),
    /// The sandboxes that have a network.
    Attached(oneshot::Sender<Vec<Attached>>),
    /// Remove these sandboxes' networks.
    Release(BTreeSet<String>, oneshot::Sender<usize>),
}

/// Everything that can wake the task.
enum Event {
    /// Services, endpoints or nodes have changed.
    Views,
    /// A pod of this node has changed.
    Pods,
    /// The plugin asks.
    Request(Incoming),
    /// The agent asks.
    Call(Call),
    /// A pod has waited long enough for its view.
    Deadline,
    /// Time to sweep, and to try again what has failed.
    Tick,
    /// The last handle is gone.
    End,
}

/// Changes that come together are written together.
const GATHER: Duration = Duration::from_millis(2);
const TICK: Duration = Duration::from_secs(2);

/// The task's state.
pub struct Task {
    engine: Engine,
    sources: Sources,
    requests: mpsc::Receiver<Incoming>,
    calls: mpsc::Receiver<Call>,
    waiting: Vec<Waiting>,
    health: HealthServers,
    /// Where the runtime's configuration goes, and the socket that it names.
    conf: (PathBuf, PathBuf),
    conf_written: bool,
}

impl Task {
    /// A task over an engine that stands.
    pub fn new(
        engine: Engine,
        sources: Sources,
        requests: mpsc::Receiver<Incoming>,
        calls: mpsc::Receiver<Call>,
        conf: (PathBuf, PathBuf),
    ) -> Self {
        let (waiting, health) = (Vec::new(), HealthServers::default());
        Self { engine, sources, requests, calls, waiting, health, conf, conf_written: false }
    }

    /// Runs until the last handle is gone.
    pub async fn run(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.waiting.iter().map(|waiting| waiting.deadline).min();
            let event = tokio::select! {
                biased;
                () = at(deadline) => Event::Deadline,
                request = self.requests.recv() => request.map_or(Event::End, Event::Request),
                call = self.calls.recv() => call.map_or(Event::End, Event::Call),
                changed = self.sources.changed() => match changed {
                    Changed::Pods => Event::Pods,
                    Changed::Tables => Event::Views,
                },
                _ = ticks.tick() => Event::Tick,
            };
            if matches!(event, Event::End) {
                return;
            }
            self.step(event).await;
        }
    }

    async fn step(&mut self, event: Event) {
        match event {
            Event::Views => self.take_views().await,
            Event::Pods => {
                self.take_pods().await;
                if !self.engine.has_views() {
                    // The pods may have been the last view that was missing.
                    self.take_views().await;
                }
                self.settle(Instant::now()).await;
            }
            Event::Deadline => self.settle(Instant::now()).await,
            Event::Request(incoming) => self.request(incoming).await,
            Event::Call(call) => self.call(call).await,
            Event::Tick => self.tick().await,
            Event::End => {}
        }
    }

    async fn take_views(&mut self) {
        tokio::time::sleep(GATHER).await;
        // Until every view has its first list, a table would remove what it merely does not know yet.
        let Some(update) = self.sources.take() else { return };
        let written = match self.widened(update) {
            Update::All(views) => self.engine.set_views(views).await,
            Update::Part { services, .. } => self.engine.set_services(services).await,
        };
        if let Err(error) = written {
            tracing::warn!(%error, "writing the tables; trying again");
        }
        self.health.set(self.engine.health_checks(), !self.engine.is_behind()).await;
        self.write_conf();
    }

    /// Takes the Nodes of a partial update; it becomes a whole one when this node itself is another than before.
    fn widened(&mut self, update: Update) -> Update {
        match update {
            Update::Part { services, nodes: Some(nodes) } => match self.engine.set_nodes(&nodes) {
                true => self.sources.all().map_or(Update::Part { services, nodes: None }, Update::All),
                false => Update::Part { services, nodes: None },
            },
            update => update,
        }
    }

    /// Takes this node's pods, whose host ports are in force afterwards.
    async fn take_pods(&mut self) {
        if let Err(error) = self.engine.set_pods(self.sources.pods()).await {
            tracing::warn!(%error, "writing host ports; trying again");
        }
    }

    async fn call(&mut self, call: Call) {
        match call {
            // Whoever asked may have gone.
            Call::Status(reply) => drop(reply.send(self.engine.status())),
            Call::Attached(reply) => drop(reply.send(self.engine.attached())),
            Call::Release(sandboxes, reply) => {
                let waiting: BTreeSet<_> = self.waiting.iter().map(|waiting| waiting.key().clone()).collect();
                let wanted = |key: &Key| !sandboxes.contains(&key.container_id) || waiting.contains(key);
                let removed = self.engine.collect(wanted).await;
                let _ = reply.send(removed);
            }
        }
    }

    async fn tick(&mut self) {
        if self.engine.is_behind()
            && let Err(error) = self.engine.apply().await
        {
            tracing::warn!(%error, "writing the tables; trying again");
        }
        self.health.set(self.engine.health_checks(), !self.engine.is_behind()).await;
        if let Some(sweeper) = self.engine.sweeper() {
            // A pass over a full table takes longer than the loop should be away.
            tokio::task::spawn_blocking(move || match sweeper.sweep() {
                Ok(swept) => tracing::trace!(live = swept.live, removed = swept.removed, "swept the flows"),
                Err(error) => tracing::warn!(%error, "sweeping the flows"),
            });
        }
    }

    /// Tells the runtime of the network once ADD can succeed.
    fn write_conf(&mut self) {
        if self.conf_written || self.engine.ready().is_err() {
            return;
        }
        let (path, socket) = &self.conf;
        match write_beside(path, &conflist(CNI_VERSION, PLUGIN, socket)) {
            Ok(()) => self.conf_written = true,
            Err(error) => tracing::warn!(path = %path.display(), %error, "writing the CNI configuration"),
        }
    }
}

/// Every containerd from 1.6 on reads this one.
const CNI_VERSION: &str = "1.0.0";
/// The plugin's name in the runtime's folder of plugins.
const PLUGIN: &str = "keelson-cni";

/// Writes a file that a reader sees whole or not at all.
fn write_beside(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension("new");
    std::fs::write(&draft, text)?;
    std::fs::rename(draft, path)
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
