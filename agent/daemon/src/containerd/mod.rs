//! The node's own containerd: its configuration, its process. Debian's service is never enabled or touched.

mod config;
mod process;

pub use process::{Containerd, ContainerdError, UntilUp};

use std::path::PathBuf;

/// Where a private containerd keeps everything.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Images and snapshots.
    pub root: PathBuf,
    /// What a reboot may clear.
    pub state: PathBuf,
    pub socket: PathBuf,
    pub config: PathBuf,
    pub log: PathBuf,
    pub pid_file: PathBuf,
    pub cni_bin_dir: PathBuf,
    pub cni_conf_dir: PathBuf,
}

impl Layout {
    /// The layout below an agent's state and run folders.
    pub fn new(state_dir: &std::path::Path, run_dir: &std::path::Path) -> Self {
        let (kept, run) = (state_dir.join("containerd"), run_dir.join("containerd"));
        Self {
            root: kept.join("root"),
            socket: run.join("containerd.sock"),
            config: run.join("config.toml"),
            log: kept.join("containerd.log"),
            pid_file: run.join("pid"),
            state: run.join("state"),
            cni_bin_dir: state_dir.join("cni/bin"),
            cni_conf_dir: state_dir.join("cni/net.d"),
        }
    }
}
