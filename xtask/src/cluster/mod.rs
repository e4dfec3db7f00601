//! Clusters on one machine: one server and N nodes, each in a network namespace of its own on an underlay bridge,
//! each node with its own containerd, cgroup subtree and BPF file system.
//!
//! Every name, address and path derives from the cluster's state folder, so that clusters coexist and `down`
//! finds all of one even when what started it was killed. Nothing is attached to the machine's own interfaces.

mod cgroups;
mod mounts;
mod names;
mod network;
mod nodes;
mod process;
mod ready;
mod shims;
mod underlay;

pub use cgroups::{processes, v2_root};
pub use names::Names;
pub use process::{Daemon, in_netns};
pub use shims::sockets as shim_sockets;

use crate::run::step;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a developer's cluster lives when `--state` does not say.
pub const DEFAULT_STATE: &str = "/var/lib/keelson-dev";

/// What to bring up.
#[derive(Clone, Debug)]
pub struct Spec {
    pub state: PathBuf,
    pub nodes: usize,
    /// `auto`, `ebpf` or `iptables`.
    pub datapath: String,
    /// The `keelson` binary.
    pub program: PathBuf,
    /// Image archives that every node gets.
    pub images: Vec<PathBuf>,
    /// Say each step.
    pub verbose: bool,
}

/// A running cluster.
pub struct Cluster {
    pub names: Names,
    pub spec: Spec,
}

impl Cluster {
    /// Brings a cluster up and returns when all nodes are Ready. What a dead cluster left at the same place is
    /// removed first; a living one is an error.
    pub fn up(spec: Spec) -> Result<Self> {
        let cluster = Self::prepare(spec)?;
        match cluster.start() {
            Ok(()) => Ok(cluster),
            Err(error) => Err(error.context(format!("see the logs in {}", cluster.names.logs().display()))),
        }
    }

    /// Makes the folders and the network of a cluster without starting anything.
    pub fn prepare(spec: Spec) -> Result<Self> {
        let mut names = Names::of(&spec.state);
        if nodes::is_running(&names) {
            bail!(
                "a cluster is already running at {}: `cargo xtask down` ends it, `--state DIR` starts another",
                spec.state.display()
            );
        }
        remove(&names)?;
        fs::create_dir_all(names.logs())?;
        let choosing = underlay::lock()?;
        names.move_to(underlay::choose(names.underlay())?)?;
        let cluster = Self { names, spec };
        cluster.say(format_args!("state in {}", cluster.spec.state.display()));
        network::create(&cluster.names, cluster.spec.nodes)?;
        drop(choosing);
        cluster.say(format_args!(
            "underlay {}/24 on bridge {}",
            cluster.names.underlay(),
            cluster.names.bridge()
        ));
        Ok(cluster)
    }

    fn start(&self) -> Result<()> {
        self.start_server()?;
        ready::wait_for_api(self, Duration::from_secs(30))?;
        self.say(format_args!("API server ready at {}", self.server_url()));
        for index in 1..=self.spec.nodes {
            self.start_agent(index)?;
        }
        ready::wait_for_nodes(self, Duration::from_secs(60))?;
        self.say(format_args!("{} node(s) Ready", self.spec.nodes));
        if !self.spec.images.is_empty() {
            nodes::import_images(self)?;
            self.say(format_args!("{} image(s) imported on every node", self.spec.images.len()));
        }
        Ok(())
    }

    fn say(&self, text: std::fmt::Arguments<'_>) {
        if self.spec.verbose {
            step(text);
        }
    }

    /// Where the API is served.
    pub fn server_url(&self) -> String {
        format!("https://{}:6443", self.names.server_ip())
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.names.server_dir().join("admin.kubeconfig")
    }

    /// Starts the agent of node `index` (from 1): for the first time, or after it was killed.
    pub fn start_agent(&self, index: usize) -> Result<()> {
        nodes::start_agent(self, index)
    }

    /// Starts the server: for the first time, or after it was killed.
    pub fn start_server(&self) -> Result<()> {
        nodes::start_server(self)
    }

    /// The server's process.
    pub fn server(&self) -> Result<Daemon> {
        Daemon::load(&self.names.pid_file("server")).context("the server was never started")
    }

    /// The agent of node `index` (from 1).
    pub fn agent(&self, index: usize) -> Result<Daemon> {
        Daemon::load(&self.names.pid_file(&Names::node(index))).context("the agent was never started")
    }

    /// Ends the cluster and removes all that belonged to it.
    pub fn down(&self) -> Result<()> {
        remove(&self.names)
    }
}

/// Ends whatever runs at `state` and removes all of it; nothing there is fine.
pub fn down(state: &Path) -> Result<()> {
    remove(&Names::of(state))
}

fn remove(names: &Names) -> Result<()> {
    nodes::stop_all(names)?;
    let sockets = shims::sockets(names);
    cgroups::end(names)?;
    shims::remove(&sockets)?;
    mounts::unmount_below(names.state())?;
    network::remove(names)?;
    if names.state().exists() {
        fs::remove_dir_all(names.state())
            .with_context(|| format!("cannot remove {}", names.state().display()))?;
    }
    Ok(())
}
