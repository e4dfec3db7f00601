//! Removes all that a pod left on disk: mounts first, then files, never through a mount that stayed.

use super::{PodDirs, Result, VolumeError, mounts};
use std::io::ErrorKind;
use std::path::Path;

/// Removes the pod's folder. A mount that cannot be undone is an error and nothing is deleted.
pub fn tear_down(dirs: &PodDirs) -> Result<()> {
    mounts::unmount_below(dirs.root())?;
    let left = mounts::below(dirs.root())?;
    if let Some(point) = left.first() {
        return Err(VolumeError::Unmet(format!("{} is still mounted", point.display())));
    }
    remove_all(dirs.root())
}

/// Removes a folder and all below it; fine when it is gone.
pub fn remove_all(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(VolumeError::io(path)(error)),
        _ => Ok(()),
    }
}
