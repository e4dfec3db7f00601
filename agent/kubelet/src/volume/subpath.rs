//! subPath mounts: a part of a volume, held fast so that the container cannot lead it elsewhere.
//!
//! The path is opened below the volume with `openat2(RESOLVE_BENEATH)` and the open file is bind-mounted:
//! whatever links the container swaps in later, the mount shows what was checked.

use super::{Result, VolumeError};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

fn open_beneath(base: &OwnedFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_BENEATH);
    openat2(base, path, how)
}

/// Bind-mounts `sub` of `volume` at `target` and returns `target`. A missing path becomes a folder.
pub fn bind(volume: &Path, sub: &str, target: PathBuf) -> Result<PathBuf> {
    let relative = Path::new(sub);
    if relative.is_absolute() || relative.components().any(|c| c == std::path::Component::ParentDir) {
        return Err(VolumeError::Unmet(format!("subPath \"{sub}\" must stay inside the volume")));
    }
    let base = nix::fcntl::open(volume, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(VolumeError::os(volume))?;
    let held = match open_beneath(&base, relative, OFlag::O_PATH) {
        Err(nix::errno::Errno::ENOENT) => {
            make_dirs(&base, relative)?;
            open_beneath(&base, relative, OFlag::O_PATH)
        }
        other => other,
    }
    .map_err(|errno| {
        VolumeError::Unmet(format!("failed to prepare subPath \"{sub}\" of {}: {errno}", volume.display()))
    })?;
    let source = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
    let is_dir = std::fs::metadata(&source).map_err(VolumeError::io(&source))?.is_dir();
    if is_mounted(&target)? {
        nix::mount::umount2(&target, nix::mount::MntFlags::MNT_DETACH).map_err(VolumeError::os(&target))?;
    }
    if is_dir {
        std::fs::create_dir_all(&target).map_err(VolumeError::io(&target))?;
    } else {
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(VolumeError::io(parent))?;
        }
        std::fs::File::create(&target).map_err(VolumeError::io(&target))?;
    }
    mount(Some(&source), &target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(VolumeError::os(&target))?;
    Ok(target)
}

fn make_dirs(base: &OwnedFd, relative: &Path) -> Result<()> {
    let mut at = base.try_clone().map_err(VolumeError::io(relative))?;
    for part in relative.components() {
        let name = Path::new(part.as_os_str());
        match nix::sys::stat::mkdirat(&at, name, Mode::from_bits_truncate(0o750)) {
            Ok(()) => {
                // The volume's own mode decides: mkdirat is subject to the umask.
                let mode = nix::sys::stat::fstat(&at).map_err(VolumeError::os(relative))?.st_mode & 0o7777;
                nix::sys::stat::fchmodat(
                    &at,
                    name,
                    Mode::from_bits_truncate(mode),
                    nix::sys::stat::FchmodatFlags::FollowSymlink,
                )
                .map_err(VolumeError::os(relative))?;
            }
            Err(nix::errno::Errno::EEXIST) => {}
            Err(errno) => return Err(VolumeError::os(relative)(errno)),
        }
        at =
            open_beneath(&at, name, OFlag::O_PATH | OFlag::O_DIRECTORY).map_err(VolumeError::os(relative))?;
    }
    Ok(())
}

fn is_mounted(path: &Path) -> Result<bool> {
    Ok(super::mounts::below(path)?.iter().any(|p| p == path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_inside() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join("v");
        std::fs::create_dir_all(volume.join("a")).unwrap();
        std::fs::write(volume.join("a/f"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("out")).unwrap();
        std::os::unix::fs::symlink("a", volume.join("in")).unwrap();
        let target = |n: &str| dir.path().join("t").join(n);
        let file = bind(&volume, "in/f", target("0")).map(|p| std::fs::read_to_string(p).unwrap());
        let made = bind(&volume, "new/deep", target("1")).map(|p| p.is_dir());
        let out = bind(&volume, "out/passwd", target("2"));
        let up = bind(&volume, "../v", target("3"));
        super::super::mounts::unmount_below(&dir.path().join("t")).unwrap();
        assert_eq!(file.unwrap(), "x");
        assert!(made.unwrap() && volume.join("new/deep").is_dir());
        assert!(out.is_err() && up.is_err());
    }
}
