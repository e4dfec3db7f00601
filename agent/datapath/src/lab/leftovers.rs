//! What tests that were killed have left: namespaces, cgroups and mounts that carry a dead process in their
//! name.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Removes all of it; what resists is left to the next test.
pub fn remove() {
    for path in of_the_dead(Path::new("/run/netns")) {
        if let Some(name) = path.file_name() {
            let _ = Command::new("ip").args(["netns", "del"]).arg(name).status();
        }
    }
    for path in of_the_dead(&super::cgroup::root()) {
        let _ = std::fs::remove_dir(path);
    }
    for path in of_the_dead(&std::env::temp_dir()) {
        let _ = nix::mount::umount2(&path.join(super::node::BPF_FOLDER), nix::mount::MntFlags::MNT_DETACH);
        let _ = std::fs::remove_dir_all(path);
    }
}

/// Entries of a folder that are named after a test process that has ended.
fn of_the_dead(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let dead = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str())?;
        let pid: u32 = name.strip_prefix("kt")?.split_once('-')?.0.parse().ok()?;
        (!Path::new("/proc").join(pid.to_string()).exists()).then_some(())
    };
    entries.flatten().map(|entry| entry.path()).filter(|path| dead(path).is_some()).collect()
}

#[test]
fn only_what_is_of_the_dead_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let own = format!("kt{}-0-x", std::process::id());
    // Beyond the largest process id that a kernel gives out.
    for name in ["kt4194305-3-client", own.as_str(), "ktx-1", "other", "kt12"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    assert_eq!(of_the_dead(folder.path()), [folder.path().join("kt4194305-3-client")]);
}
