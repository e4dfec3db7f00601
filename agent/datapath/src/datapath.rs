//! The handle by which the agent starts, asks and stops the data plane.

use crate::attachment::Attached;
use crate::cni;
use crate::engine::{Engine, Mode, OpenError, Settings, Status};
use crate::tables::PrefixError;
use crate::task::{Call, Sources, Task};
use keelson_client::Client;
use keelson_ebpf_abi::Address;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// What the agent says about its node.
#[derive(Clone, Debug)]
pub struct DatapathConfig {
    /// The node's name in the API.
    pub node_name: String,
    /// The node's address.
    pub node_ip: IpAddr,
    /// Interface that leads out of the node.
    pub outer_interface: String,
    /// Folder for what neither CRI nor the kernel can tell a new agent.
    pub state_dir: PathBuf,
    /// The CNI plugin's socket.
    pub socket: PathBuf,
    /// Folder of a bpffs for programs, links and maps.
    pub pin_dir: PathBuf,
    /// Where the socket programs attach, from the root of the cgroup v2 tree: `/` serves the whole host.
    pub cgroup_root: String,
    /// All services' addresses.
    pub service_cidr: String,
    /// All pods' addresses.
    pub cluster_cidr: String,
    /// The cluster DNS address: put on `lo` here, served by the node itself.
    pub cluster_dns: IpAddr,
    /// UDP port of the tunnel.
    pub vxlan_port: u16,
    /// Where the runtime looks for its network configuration; written once the node has a pod range, so that
    /// a runtime is not ready before.
    pub cni_conf_dir: PathBuf,
    /// Which backend.
    pub mode: Mode,
}

/// Why the data plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// A range cannot be read.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// The node could not be set up.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No cgroup v2 tree, or the folder cannot be made.
    #[error("cgroup folder {path}: {source}")]
    Cgroup {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The CNI socket cannot be bound.
    #[error("CNI socket {path}: {source}")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Calls that wait for the task.
const CALLS_MAX: usize = 64;

/// A running data plane.
#[derive(Debug)]
pub struct Datapath {
    calls: mpsc::Sender<Call>,
    tasks: JoinSet<()>,
}

impl Datapath {
    /// Sets up the node and starts serving; an earlier agent's pods and flows are taken over. Returns once
    /// programs are attached, before any service is known.
    pub async fn start(config: DatapathConfig, client: Client) -> Result<Self, DatapathError> {
        let settings = settings(&config)?;
        let engine = Engine::open(&settings).await?;
        let (requests, incoming) = mpsc::channel(CALLS_MAX);
        let listener = cni::serve(&config.socket, requests)
            .map_err(|source| DatapathError::Socket { path: config.socket.clone(), source })?;
        let (calls, inbox) = mpsc::channel(CALLS_MAX);
        let sources = Sources::follow(&client, &config.node_name);
        let conf = config.cni_conf_dir.join(CONF_NAME);
        let task = Task::new(engine, sources, incoming, inbox, (conf, config.socket));
        let mut tasks = JoinSet::new();
        tasks.spawn(listener);
        tasks.spawn(task.run());
        Ok(Self { calls, tasks })
    }

    /// The state now; `None` when the task has ended.
    pub async fn status(&self) -> Option<Status> {
        let (sender, receiver) = oneshot::channel();
        self.calls.send(Call::Status(sender)).await.ok()?;
        receiver.await.ok()
    }

    /// A handle for whoever watches the runtime.
    pub fn handle(&self) -> Handle {
        Handle { calls: self.calls.clone() }
    }

    /// Stops serving. Pods, their programs and their maps stay.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

/// By which networks of sandboxes that are gone are released.
#[derive(Clone, Debug)]
pub struct Handle {
    calls: mpsc::Sender<Call>,
}

impl Handle {
    /// The sandboxes that have a network; `None` when the data plane has ended.
    pub async fn attached(&self) -> Option<Vec<Attached>> {
        let (sender, receiver) = oneshot::channel();
        self.calls.send(Call::Attached(sender)).await.ok()?;
        receiver.await.ok()
    }

    /// Removes the networks of sandboxes that the runtime knows no more; how many went.
    pub async fn release(&self, sandboxes: BTreeSet<String>) -> usize {
        let (sender, receiver) = oneshot::channel();
        if self.calls.send(Call::Release(sandboxes, sender)).await.is_err() {
            return 0;
        }
        receiver.await.unwrap_or(0)
    }
}

/// First in the folder, so that no other network is chosen.
const CONF_NAME: &str = "05-keelson.conflist";

fn settings(config: &DatapathConfig) -> Result<Settings, DatapathError> {
    let (mode, cgroup_root) = hooks(config)?;
    Ok(Settings {
        node_name: config.node_name.clone(),
        node: Address::from(config.node_ip),
        outer_interface: Some(config.outer_interface.clone()),
        state_dir: config.state_dir.clone(),
        pins: Some(config.pin_dir.clone()),
        cgroup_root,
        cluster: config.cluster_cidr.parse()?,
        services: config.service_cidr.parse()?,
        dns: Some(Address::from(config.cluster_dns)),
        vxlan_port: config.vxlan_port,
        mode,
        sizes: crate::backend::ebpf::Sizes::default(),
        clsact: false,
    })
}

/// Which backend to try, and where its socket programs attach. iptables needs no folder and makes none.
fn hooks(config: &DatapathConfig) -> Result<(Mode, Option<PathBuf>), DatapathError> {
    if config.mode == Mode::Iptables {
        return Ok((Mode::Iptables, None));
    }
    match cgroup_folder(&config.cgroup_root) {
        Ok(folder) => Ok((config.mode, Some(folder))),
        Err(error) if config.mode == Mode::Auto => {
            tracing::warn!(%error, "eBPF cannot be used; falling back to iptables");
            Ok((Mode::Iptables, None))
        }
        Err(error) => Err(error),
    }
}

/// The folder below the cgroup v2 tree, wherever that is mounted; made when it is not there yet.
fn cgroup_folder(below: &str) -> Result<PathBuf, DatapathError> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let root = cgroup2_mount(&mounts).ok_or_else(|| DatapathError::Cgroup {
        path: PathBuf::from(below),
        source: io::Error::other("no cgroup v2 tree is mounted"),
    })?;
    let path = Path::new(root).join(below.trim_start_matches('/'));
    match std::fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(DatapathError::Cgroup { path, source }),
    }
}

fn cgroup2_mount(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_v2_tree_is_found_where_it_is_mounted() {
        let hybrid =
            "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(cgroup2_mount(hybrid), Some("/sys/fs/cgroup/unified"));
        assert_eq!(cgroup2_mount("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"), Some("/sys/fs/cgroup"));
        assert_eq!(cgroup2_mount("proc /proc proc rw 0 0\n"), None);
    }
}
