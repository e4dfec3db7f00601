//! The sockets of containerd's shims: containerd 1.6 puts them into one folder of the machine, whatever its own state
//! folder is, named by a hash. A shim that is killed leaves its socket behind.

use super::names::Names;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "/run/containerd/s";
/// The namespace in which CRI's containers are.
const NAMESPACE: &str = "k8s.io";

/// The sockets of all sandboxes and containers that the cluster's nodes know.
pub fn sockets(names: &Names) -> Vec<PathBuf> {
    let mut sockets = Vec::new();
    for node in fs::read_dir(names.state()).into_iter().flatten().flatten() {
        let run = node.path().join("run/containerd");
        let tasks = run.join("state/io.containerd.runtime.v2.task").join(NAMESPACE);
        for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
            let id = task.file_name().to_string_lossy().into_owned();
            sockets.push(socket(&run.join("containerd.sock"), &id));
        }
    }
    sockets
}

/// The hash is that of containerd's own address, the namespace and the id, joined as a path.
fn socket(containerd: &Path, id: &str) -> PathBuf {
    let hash = Sha256::digest(containerd.join(NAMESPACE).join(id).as_os_str().as_encoded_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Path::new(FOLDER).join(hex)
}

/// Removes those that are still there.
pub fn remove(sockets: &[PathBuf]) -> Result<()> {
    for socket in sockets.iter().filter(|socket| socket.exists()) {
        fs::remove_file(socket).with_context(|| format!("cannot remove {}", socket.display()))?;
    }
    Ok(())
}
