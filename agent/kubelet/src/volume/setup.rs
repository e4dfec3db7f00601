//! Makes one volume and tells where it lies.

use super::owner::{Ownership, give_to_group};
use super::payload::{Payload, Sources, render};
use super::{PodDirs, Result, VolumeError, atomic, host_path, mounts};
use crate::pod::quantity::{Limits, text};
use crate::pod::spec::{Pod, Volume};
use keelson_api::quantity::Quantity;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Makes `volume`, or brings its files up to date; where it lies on the host. `stamp` differs from call to
/// call.
pub fn set_up(dirs: &PodDirs, volume: &Volume, sources: &Sources<'_>, stamp: &str) -> Result<PathBuf> {
    let path = location(dirs, volume)?;
    if let Some(source) = &volume.host_path {
        return host_path::prepare(source);
    }
    let ownership = Ownership::of(sources.pod);
    if let Some(source) = &volume.empty_dir {
        empty_dir(&path, source.medium == "Memory", size_limit(sources.pod, volume), ownership)?;
        return Ok(path);
    }
    let payload = match render(volume, sources) {
        Some(payload) => payload.map_err(VolumeError::Unmet)?,
        None => {
            return Err(VolumeError::Unmet(format!(
                "volume \"{}\" is of a kind that is not served",
                volume.name
            )));
        }
    };
    make_dir(&path, 0o755)?;
    if in_memory(volume) {
        mounts::tmpfs(&path, 0)?;
    }
    write(&path, &payload, ownership, stamp)?;
    Ok(path)
}

fn write(path: &Path, payload: &Payload, ownership: Ownership, stamp: &str) -> Result<()> {
    atomic::write(path, payload, ownership, stamp)?;
    Ok(())
}

/// Where `volume` lies on the host, whether it exists or not.
pub fn location(dirs: &PodDirs, volume: &Volume) -> Result<PathBuf> {
    let plugin = if let Some(source) = &volume.host_path {
        return Ok(PathBuf::from(&source.path));
    } else if volume.empty_dir.is_some() {
        "kubernetes.io~empty-dir"
    } else if volume.config_map.is_some() {
        "kubernetes.io~configmap"
    } else if volume.secret.is_some() {
        "kubernetes.io~secret"
    } else if volume.downward_api.is_some() {
        "kubernetes.io~downward-api"
    } else if volume.projected.is_some() {
        "kubernetes.io~projected"
    } else {
        return Err(VolumeError::Unmet(format!(
            "volume \"{}\" is of a kind that is not served",
            volume.name
        )));
    };
    Ok(dirs.volume(plugin, &volume.name))
}

/// Secrets and tokens never reach a disk.
fn in_memory(volume: &Volume) -> bool {
    volume.secret.is_some() || volume.projected.is_some() || volume.downward_api.is_some()
}

fn empty_dir(path: &Path, memory: bool, size_bytes: i64, ownership: Ownership) -> Result<()> {
    let fresh = !path.is_dir();
    make_dir(path, 0o777)?;
    if memory {
        mounts::tmpfs(path, size_bytes)?;
    }
    if fresh && let Some(group) = ownership.fs_group {
        give_to_group(path, group, false)?;
    }
    Ok(())
}

/// The size of a memory-backed emptyDir: its own limit or the pod's memory limit, whichever is less.
fn size_limit(pod: &Pod, volume: &Volume) -> i64 {
    let own = volume
        .empty_dir
        .as_ref()
        .and_then(|e| e.size_limit.as_ref())
        .and_then(|v| Quantity::parse(&text(v)).ok())
        .map(|q| q.value());
    [own, Some(Limits::of_pod(pod).memory_bytes)].into_iter().flatten().filter(|v| *v > 0).min().unwrap_or(0)
}

fn make_dir(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path).map_err(VolumeError::io(path))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).map_err(VolumeError::io(path))
}
