//! Starting and stopping all controllers, under a leader's lease or without one.

use crate::certificates::Signer;
use crate::context::{Context, Tasks};
use crate::nodeipam::{Range, RangeError};
use crate::shared::Shared;
use crate::{
    certificates, deployment, endpoints, endpointslice, endpointslicemirroring, garbage, namespace, nodeipam,
    nodelifecycle, podgc, replicaset, rootca, serviceaccount, taints,
};
use keelson_client::Client;
use keelson_client::lease::{Election, ElectionConfig};
use keelson_client::queue::Queue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// The identity under which the shared views are read.
const MANAGER: &str = "kube-controller-manager";

/// What the controllers need to know about their cluster.
#[derive(Clone)]
pub struct ControllerConfig {
    /// The content of every namespace's `kube-root-ca.crt`.
    pub cluster_ca_pem: String,
    /// Without one, approved certificate requests stay unsigned.
    pub signer: Option<Signer>,
    /// The range that nodes get their pod ranges from.
    pub pod_range: Range,
    /// Run only while holding this lease.
    pub election: Option<ElectionConfig>,
    /// A node whose lease and status are older than this is taken for lost.
    pub node_grace: Duration,
    /// The same for a node that never posted a status.
    pub node_startup_grace: Duration,
    /// Pods that have ended are kept up to this number; beyond it the oldest are removed.
    pub terminated_pods_max: usize,
    /// How often those are counted.
    pub terminated_pods_period: Duration,
    /// Of all jitter.
    pub seed: u64,
}

impl ControllerConfig {
    /// Kubernetes' times and a pod range such as `10.244.0.0/16`.
    pub fn new(cluster_ca_pem: &str, pod_cidr: &str, seed: u64) -> Result<Self, RangeError> {
        Ok(Self {
            cluster_ca_pem: cluster_ca_pem.to_owned(),
            signer: None,
            pod_range: Range::parse(pod_cidr)?,
            election: None,
            node_grace: Duration::from_secs(50),
            node_startup_grace: Duration::from_secs(60),
            terminated_pods_max: 12_500,
            terminated_pods_period: Duration::from_secs(20),
            seed,
        })
    }
}

/// All controllers of the control plane.
pub struct Controllers;

/// Running controllers; dropping it leaves them running until the runtime ends.
pub struct ControllersHandle {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    synced: watch::Receiver<bool>,
}

type MakeClient = Arc<dyn Fn(&str) -> Client + Send + Sync>;

impl Controllers {
    /// Starts all controllers. `make_client` gives the client for an identity: `kube-controller-manager` for the
    /// shared views, and the name of each controller's service account for its writes.
    pub fn start(
        config: ControllerConfig,
        make_client: impl Fn(&str) -> Client + Send + Sync + 'static,
    ) -> ControllersHandle {
        let (stop, stopped) = oneshot::channel();
        let (views_synced, synced) = watch::channel(false);
        let task = tokio::spawn(supervise(config, Arc::new(make_client), views_synced, stopped));
        ControllersHandle { stop, task, synced }
    }
}

impl ControllersHandle {
    /// Becomes true when the controllers lead and have read every kind that they follow; stays so.
    pub fn synced(&self) -> watch::Receiver<bool> {
        self.synced.clone()
    }

    /// Stops all controllers and gives the lease back.
    pub async fn shutdown(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn supervise(
    config: ControllerConfig,
    make_client: MakeClient,
    synced: watch::Sender<bool>,
    mut stopped: oneshot::Receiver<()>,
) {
    let Some(election) = config.election.clone() else {
        let tasks = run(&config, &make_client, &synced);
        let _ = stopped.await;
        return tasks.stop().await;
    };
    let election = Election::spawn(make_client(MANAGER), election);
    loop {
        tokio::select! {
            alive = election.until(true) => if !alive { return },
            _ = &mut stopped => return election.release().await,
        }
        let tasks = run(&config, &make_client, &synced);
        tokio::select! {
            alive = election.until(false) => {
                tasks.stop().await;
                if !alive { return }
            }
            _ = &mut stopped => {
                tasks.stop().await;
                return election.release().await;
            }
        }
    }
}

fn run(config: &ControllerConfig, make_client: &MakeClient, synced: &watch::Sender<bool>) -> Tasks {
    let reader = make_client(MANAGER);
    let context = Context {
        config,
        shared: Arc::new(Shared::spawn(&reader, config.seed)),
        tasks: Tasks::default(),
        emptying: Queue::new(),
        make_client: make_client.as_ref(),
    };
    certificates::start(&context);
    nodeipam::start(&context);
    nodelifecycle::start(&context);
    serviceaccount::start(&context);
    rootca::start(&context);
    deployment::start(&context);
    replicaset::start(&context);
    endpointslice::start(&context);
    endpoints::start(&context);
    endpointslicemirroring::start(&context);
    namespace::start(&context);
    let metadata_read = garbage::start(&context, reader);
    taints::start(&context);
    podgc::start(&context);
    let (shared, synced) = (Arc::clone(&context.shared), synced.clone());
    context.tasks.spawn(async move {
        shared.synced().await;
        // An error: the collector was stopped first, and this is about to be.
        if metadata_read.await.is_ok() {
            synced.send_replace(true);
        }
    });
    context.tasks
}
