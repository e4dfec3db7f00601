//! The mounts that the kubelet itself makes: tmpfs volumes and subPath binds.

use super::{Result, VolumeError};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::{Path, PathBuf};

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// Mount points at or below `path`, the newest first.
pub fn below(path: &Path) -> Result<Vec<PathBuf>> {
    let file = Path::new(MOUNTINFO);
    let text = std::fs::read_to_string(file).map_err(VolumeError::io(file))?;
    let points = text.lines().rev().filter_map(|line| line.split(' ').nth(4).map(unescape));
    Ok(points.filter(|p| p.starts_with(path)).collect())
}

/// Octal escapes of mountinfo: space, tab, newline, backslash.
fn unescape(text: &str) -> PathBuf {
    if !text.contains('\\') {
        return PathBuf::from(text);
    }
    PathBuf::from(
        text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\"),
    )
}

/// Unmounts everything at or below `path`.
pub fn unmount_below(path: &Path) -> Result<()> {
    for point in below(path)? {
        umount2(&point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).map_err(VolumeError::os(&point))?;
    }
    Ok(())
}

/// A tmpfs at `path` unless there is a mount already. `size_bytes` of 0 leaves the kernel's own limit.
pub fn tmpfs(path: &Path, size_bytes: i64) -> Result<()> {
    if below(path)?.iter().any(|p| p == path) {
        return Ok(());
    }
    let options =
        if size_bytes > 0 { format!("mode=0777,size={size_bytes}") } else { "mode=0777".to_owned() };
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
        .map_err(VolumeError::os(path))
}
