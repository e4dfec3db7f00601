//! Mounts below a cluster's state folder: root file systems, volumes, namespaces, BPF file systems.

use anyhow::{Context, Result};
use nix::mount::{MntFlags, umount2};
use std::fs;
use std::path::{Path, PathBuf};

/// Unmounts everything below `dir`, the newest first.
pub fn unmount_below(dir: &Path) -> Result<()> {
    for mount in below(dir).into_iter().rev() {
        umount2(&mount, MntFlags::MNT_DETACH)
            .with_context(|| format!("cannot unmount {}", mount.display()))?;
    }
    Ok(())
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|path| PathBuf::from(path.replace("\\040", " ")))
        .filter(|path| path.starts_with(dir))
        .collect()
}
