//! Starting and stopping the kubelet.

use crate::actions::{Context, PROBES_MAX};
use crate::cgroup::{CgroupError, Cgroups};
use crate::clock::Clock;
use crate::config::KubeletConfig;
use crate::cri::{Cri, CriError};
use crate::event::Event;
use crate::images;
use crate::logs::rotate::rotate_all;
use crate::machine::MachineFacts;
use crate::node;
use crate::pod::Pod;
use crate::references::References;
use crate::run::{Directory, Loop, watch_events, watch_runtime};
use crate::server::{self, ServingTls};
use crate::tokens::Tokens;
use arc_swap::ArcSwap;
use keelson_api::resource::Resource;
use keelson_client::Client;
use keelson_client::informer::{Informer, Scope};
use keelson_client::recorder::Recorder;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Results that may wait for the loop.
const EVENTS_MAX: usize = 1024;

/// Why the kubelet did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error("no cgroup hierarchy is mounted: mount one at /sys/fs/cgroup")]
    NoCgroups,
    #[error(transparent)]
    Cri(#[from] CriError),
    #[error("the kubelet server cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
}

/// The node's pod runner.
pub struct Kubelet;

/// A running kubelet. Dropping it stops nothing: call [`KubeletHandle::shutdown`].
pub struct KubeletHandle {
    stop: oneshot::Sender<()>,
    main: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    address: SocketAddr,
}

impl Kubelet {
    /// Starts the kubelet's tasks: the loop, the look at the runtime, the node's own status, the server. The
    /// runtime need not be up yet: the node is NotReady until it is.
    pub async fn start(
        mut config: KubeletConfig,
        client: Client,
        tls: ServingTls,
    ) -> Result<KubeletHandle, StartError> {
        let failed = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        config.listen = address;
        for path in [&config.root_dir, &config.pod_log_dir] {
            std::fs::create_dir_all(path)
                .map_err(|source| StartError::Folder { path: path.clone(), source })?;
        }
        let cgroups = Cgroups::detect(&config.cgroup_root)?;
        if !cgroups.has_any() {
            return Err(StartError::NoCgroups);
        }
        cgroups.create_classes()?;
        let (events, inbox) = mpsc::channel::<Event>(EVENTS_MAX);
        let clock = Clock::start();
        let scope =
            Scope { field_selector: format!("spec.nodeName={}", config.node_name), ..Scope::default() };
        let pods: Informer<Pod> = Informer::spawn(client.clone(), Resource::PODS, scope);
        let context = Arc::new(Context {
            host_ips: config.host_ips(),
            machine: MachineFacts::read(&config.root_dir),
            clock,
            cri: Cri::new(&config.cri_socket)?,
            cgroups,
            references: References::new(client.clone(), events.clone()),
            tokens: Tokens::new(client.clone(), clock),
            services: Informer::spawn(client.clone(), Resource::SERVICES, Scope::default()),
            recorder: Recorder::spawn(client.clone(), "kubelet", &config.node_name),
            node_labels: ArcSwap::default(),
            events,
            making: Semaphore::new(config.parallel_starts),
            probing: Semaphore::new(PROBES_MAX),
            look: Notify::new(),
            client,
            config,
        });
        let directory = Arc::new(Directory::default());
        let (stop, stopped) = oneshot::channel();
        let main = Loop::new(Arc::clone(&context), pods, Arc::clone(&directory));
        let main = tokio::spawn(main.run(inbox, stopped));
        let tasks = vec![
            tokio::spawn(watch_runtime(Arc::clone(&context))),
            tokio::spawn(watch_events(Arc::clone(&context))),
            tokio::spawn(node::report(Arc::clone(&context))),
            tokio::spawn(images::collect_all(Arc::clone(&context))),
            tokio::spawn(rotate_all(Arc::clone(&context), Arc::clone(&directory))),
            tokio::spawn(server::serve(context, directory, listener, tls)),
        ];
        Ok(KubeletHandle { stop, main, tasks, address })
    }
}

impl KubeletHandle {
    /// Ends the kubelet's tasks. Pods go on running; a later start takes them over.
    pub async fn shutdown(self) {
        // The loop may have ended by itself: then nobody listens.
        let _ = self.stop.send(());
        if let Err(error) = self.main.await {
            tracing::error!(%error, "the kubelet's loop ended badly");
        }
        for task in self.tasks {
            task.abort();
        }
    }

    /// Where the kubelet server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
