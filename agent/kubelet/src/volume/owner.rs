//! Who may read a volume's files: the pod's fsGroup, and the user of its tokens.

use super::{Result, VolumeError};
use crate::pod::spec::Pod;
use nix::unistd::{Gid, Uid, chown};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Ownership that a pod asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    pub fs_group: Option<u32>,
    /// The one user that all containers run as, when there is one.
    pub user: Option<u32>,
}

impl Ownership {
    pub fn of(pod: &Pod) -> Self {
        let shared = pod.spec.security_context.run_as_user;
        let mut users = pod
            .spec
            .init_containers
            .iter()
            .chain(&pod.spec.containers)
            .map(|c| c.security_context.run_as_user.or(shared));
        let first = users.next().flatten();
        let same = first.is_some() && users.all(|u| u == first);
        let narrow = |id: i64| u32::try_from(id).ok();
        Self {
            fs_group: pod.spec.security_context.fs_group.and_then(narrow),
            user: first.filter(|_| same).and_then(narrow),
        }
    }
}

/// Gives `path` and all below it to the group; new files in folders inherit it.
pub fn give_to_group(path: &Path, group: u32, read_only: bool) -> Result<()> {
    let metadata = std::fs::symlink_metadata(path).map_err(VolumeError::io(path))?;
    if metadata.is_symlink() {
        return nix::unistd::fchownat(
            nix::fcntl::AT_FDCWD,
            path,
            None,
            Some(Gid::from_raw(group)),
            nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
        )
        .map_err(VolumeError::os(path));
    }
    if metadata.gid() != group {
        chown(path, None, Some(Gid::from_raw(group))).map_err(VolumeError::os(path))?;
    }
    let mut mode = metadata.permissions().mode() & 0o7777;
    mode |= if read_only { 0o440 } else { 0o660 };
    if metadata.is_dir() {
        mode |= 0o2110;
        for entry in std::fs::read_dir(path).map_err(VolumeError::io(path))?.flatten() {
            give_to_group(&entry.path(), group, read_only)?;
        }
    }
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).map_err(VolumeError::io(path))
}

/// Makes a file readable by one user alone.
pub fn give_to_user(path: &Path, user: u32) -> Result<()> {
    chown(path, Some(Uid::from_raw(user)), None).map_err(VolumeError::os(path))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(VolumeError::io(path))
}
