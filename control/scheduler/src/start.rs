//! Starting and stopping the scheduler, under a leader's lease or without one.

use crate::run::{Loop, Owner};
use keelson_client::informer::{Informer, Options, Scope};
use keelson_client::lease::{Election, ElectionConfig};
use keelson_client::views::{Namespace, Node, Pod, Service};
use keelson_client::{Client, Resource, View};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Pods that have ended hold no resources: they are not even read.
const NOT_ENDED: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Details of the scheduler.
#[derive(Clone, Debug)]
pub struct SchedulerConfig {
    /// Pods that name another scheduler are left to it.
    pub scheduler_name: String,
    /// Run only while holding this lease.
    pub election: Option<ElectionConfig>,
    /// Decides among equal nodes, and spreads reconnects.
    pub seed: u64,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self { scheduler_name: "default-scheduler".to_owned(), election: None, seed: 0 }
    }
}

/// The scheduler of the default profile.
pub struct Scheduler;

/// A running scheduler.
pub struct SchedulerHandle {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    synced: watch::Receiver<bool>,
}

impl Scheduler {
    /// Starts the scheduler with the identity `system:kube-scheduler` that `client` has.
    pub fn start(config: SchedulerConfig, client: Client) -> SchedulerHandle {
        let (stop, stopped) = oneshot::channel();
        let (views_synced, synced) = watch::channel(false);
        let task = tokio::spawn(supervise(config, client, views_synced, stopped));
        SchedulerHandle { stop, task, synced }
    }
}

impl SchedulerHandle {
    /// Becomes true when the scheduler leads and has read every kind that it follows; stays so.
    pub fn synced(&self) -> watch::Receiver<bool> {
        self.synced.clone()
    }

    /// Stops scheduling and gives the lease back. Bindings under way are finished by the server alone.
    pub async fn shutdown(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn supervise(
    config: SchedulerConfig,
    client: Client,
    synced: watch::Sender<bool>,
    mut stopped: oneshot::Receiver<()>,
) {
    let Some(election) = config.election.clone() else {
        tokio::select! {
            () = schedule(&client, &config, &synced) => {}
            _ = &mut stopped => {}
        }
        return;
    };
    let election = Election::spawn(client.clone(), election);
    loop {
        tokio::select! {
            alive = election.until(true) => if !alive { return },
            _ = &mut stopped => return election.release().await,
        }
        tokio::select! {
            () = schedule(&client, &config, &synced) => {}
            alive = election.until(false) => if !alive { return },
            _ = &mut stopped => return election.release().await,
        }
    }
}

async fn schedule(client: &Client, config: &SchedulerConfig, synced: &watch::Sender<bool>) {
    let views = Views::spawn(client, config.seed);
    Loop::run(client.clone(), config.clone(), views, synced).await;
}

/// What the scheduler watches.
pub(crate) struct Views {
    pub(crate) pods: Informer<Pod>,
    pub(crate) nodes: Informer<Node>,
    pub(crate) namespaces: Informer<Namespace>,
    pub(crate) services: Informer<Service>,
    pub(crate) owners: Informer<Owner>,
}

impl Views {
    fn spawn(client: &Client, seed: u64) -> Self {
        let not_ended = Scope { field_selector: NOT_ENDED.to_owned(), ..Scope::default() };
        Self {
            pods: spawn(client, Resource::PODS, not_ended, seed),
            nodes: spawn(client, Resource::NODES, Scope::default(), seed.wrapping_add(1)),
            namespaces: spawn(client, Resource::NAMESPACES, Scope::default(), seed.wrapping_add(2)),
            services: spawn(client, Resource::SERVICES, Scope::default(), seed.wrapping_add(3)),
            owners: spawn(client, Resource::REPLICA_SETS, Scope::default(), seed.wrapping_add(4)),
        }
    }

    pub(crate) async fn synced(&self) {
        self.pods.synced().await;
        self.nodes.synced().await;
        self.namespaces.synced().await;
        self.services.synced().await;
        self.owners.synced().await;
    }
}

fn spawn<T: View>(client: &Client, resource: Resource, scope: Scope, seed: u64) -> Informer<T> {
    let options = Options { seed, feed_capacity: 65_536, ..Options::default() };
    Informer::spawn_with(client.clone(), resource, scope, options)
}
