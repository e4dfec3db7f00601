//! A container's mounts: its volumes, the hosts file and the termination message.

use super::Context;
use crate::env::expand::expand;
use crate::hosts;
use crate::pod::Pod;
use crate::pod::spec::{ContainerSpec, VolumeMount};
use crate::volume::{Result, VolumeError, setup, subpath};
use keelson_proto::cri::{Mount, MountPropagation};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What mounts need beside the specs.
pub(super) struct Inputs<'a> {
    pub(super) ips: &'a [String],
    pub(super) env: &'a [(String, String)],
    pub(super) termination_file: &'a Path,
}

pub(super) fn prepare(
    context: &Context,
    pod: &Pod,
    container: &ContainerSpec,
    inputs: &Inputs<'_>,
) -> Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for (index, mount) in container.volume_mounts.iter().enumerate() {
        mounts.push(volume(context, pod, container, mount, index, inputs.env)?);
    }
    let taken =
        |path: &str| container.volume_mounts.iter().any(|m| m.mount_path.trim_end_matches('/') == path);
    if !taken("/etc/hosts") {
        let file = context.dirs(pod).hosts_file();
        let host = if pod.spec.host_network {
            std::fs::read_to_string("/etc/hosts").unwrap_or_default()
        } else {
            String::new()
        };
        let text = hosts::render(pod, inputs.ips, &context.config.cluster_domain, &host);
        // Rewritten in place: containers that run hold this very file.
        if std::fs::read_to_string(&file).ok().as_deref() != Some(text.as_str()) {
            std::fs::write(&file, text).map_err(VolumeError::io(&file))?;
        }
        let read_only = container.security_context.read_only_root_filesystem;
        mounts.push(plain("/etc/hosts", &file, read_only));
    }
    let path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    if !path.is_empty() {
        termination_file(inputs.termination_file)?;
        mounts.push(plain(path, inputs.termination_file, false));
    }
    Ok(mounts)
}

fn plain(container_path: &str, host_path: &Path, readonly: bool) -> Mount {
    Mount {
        container_path: container_path.to_owned(),
        host_path: host_path.display().to_string(),
        readonly,
        propagation: MountPropagation::PropagationPrivate.into(),
    }
}

/// Writable by whatever user the container runs as.
fn termination_file(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(VolumeError::io(parent))?;
    }
    std::fs::File::create(path).map_err(VolumeError::io(path))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o666)).map_err(VolumeError::io(path))
}

fn volume(
    context: &Context,
    pod: &Pod,
    container: &ContainerSpec,
    mount: &VolumeMount,
    index: usize,
    env: &[(String, String)],
) -> Result<Mount> {
    let volume = pod.spec.volumes.iter().find(|v| v.name == mount.name).ok_or_else(|| {
        VolumeError::Unmet(format!("volumeMount \"{}\" names no volume of the pod", mount.name))
    })?;
    let dirs = context.dirs(pod);
    let mut path: PathBuf = setup::location(&dirs, volume)?;
    let sub = if mount.sub_path_expr.is_empty() {
        mount.sub_path.clone()
    } else {
        expand(&mount.sub_path_expr, |n| env.iter().find(|(k, _)| k == n).map(|(_, v)| v.as_str()))
    };
    if !sub.is_empty() {
        let target = dirs.subpaths().join(&volume.name).join(&container.name).join(index.to_string());
        path = subpath::bind(&path, &sub, target)?;
    }
    // What the kubelet itself fills is never the container's to write.
    let ours = volume.empty_dir.is_none() && volume.host_path.is_none();
    let propagation = match mount.mount_propagation.as_deref() {
        Some("HostToContainer") => MountPropagation::PropagationHostToContainer,
        Some("Bidirectional") => MountPropagation::PropagationBidirectional,
        _ => MountPropagation::PropagationPrivate,
    };
    let host_path = path.display().to_string();
    let container_path = if mount.mount_path.starts_with('/') {
        mount.mount_path.clone()
    } else {
        format!("/{}", mount.mount_path)
    };
    Ok(Mount {
        container_path,
        host_path,
        readonly: mount.read_only || ours,
        propagation: propagation.into(),
    })
}
