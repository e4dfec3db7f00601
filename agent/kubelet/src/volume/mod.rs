//! A pod's volumes: what is in them (pure), how they come to be on disk, how they go.

pub mod atomic;
pub mod host_path;
pub mod mounts;
pub mod owner;
pub mod payload;
pub mod setup;
pub mod subpath;
pub mod teardown;

use std::path::{Path, PathBuf};

/// Why a volume is not there.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// The volume's definition cannot be met as things stand.
    #[error("{0}")]
    Unmet(String),
}

impl VolumeError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn os(path: &Path) -> impl FnOnce(nix::errno::Errno) -> Self + '_ {
        move |errno| Self::Io { path: path.to_owned(), source: errno.into() }
    }
}

pub type Result<T> = std::result::Result<T, VolumeError>;

/// Where one pod's things lie below the kubelet's root.
#[derive(Clone, Debug)]
pub struct PodDirs {
    root: PathBuf,
}

impl PodDirs {
    pub fn new(kubelet_root: &Path, uid: &str) -> Self {
        Self { root: kubelet_root.join("pods").join(uid) }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one volume; `plugin` is its kind in Kubernetes' form (`kubernetes.io~secret`).
    pub fn volume(&self, plugin: &str, name: &str) -> PathBuf {
        self.root.join("volumes").join(plugin).join(name)
    }

    pub fn subpaths(&self) -> PathBuf {
        self.root.join("volume-subpaths")
    }

    pub fn container(&self, name: &str) -> PathBuf {
        self.root.join("containers").join(name)
    }

    pub fn hosts_file(&self) -> PathBuf {
        self.root.join("etc-hosts")
    }
}
