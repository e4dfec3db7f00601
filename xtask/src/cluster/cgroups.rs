//! The cgroup subtree of a cluster: all its processes are in it, so that none can be lost.

use super::names::Names;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the cgroup v2 tree is mounted: alone, or beside v1 hierarchies.
pub fn v2_root() -> Result<PathBuf> {
    mounts("cgroup2")
        .into_iter()
        .next()
        .context("no cgroup v2 tree is mounted; mount one with: mount -t cgroup2 none /sys/fs/cgroup/unified")
}

fn mounts(kind: &str) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (path, found) = (words.next()?, words.next()?);
            (found == kind).then(|| PathBuf::from(path))
        })
        .collect()
}

/// The cluster's folder in every hierarchy.
fn folders(names: &Names) -> Vec<PathBuf> {
    let mut all = mounts("cgroup2");
    all.extend(mounts("cgroup"));
    all.into_iter().map(|root| root.join(names.cgroup())).filter(|f| f.exists()).collect()
}

/// All folders below `dir` and itself, deepest first.
fn subtree(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            all.extend(subtree(&entry.path()));
        }
    }
    all.push(dir.to_owned());
    all
}

/// Every process of the cluster.
pub fn processes(names: &Names) -> Vec<i32> {
    let mut pids = Vec::new();
    for folder in folders(names).iter().flat_map(|f| subtree(f)) {
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        pids.extend(text.lines().filter_map(|l| l.parse::<i32>().ok()));
    }
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Kills every process of the cluster and waits until none is left.
fn kill_all(names: &Names) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        // Also what somebody started in its network by hand.
        let mut pids = processes(names);
        pids.extend(super::network::processes(names));
        if pids.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("processes of the cluster do not die: {pids:?}");
        }
        for pid in pids {
            // It may have ended by itself, or be ours to reap; the next round looks again.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(Pid::from_raw(pid), Some(nix::sys::wait::WaitPidFlag::WNOHANG));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills every process of the cluster and removes the subtree from every hierarchy. From then on nothing of the cluster
/// can start: what a killed `up` has forked joins its cgroup before it becomes another program, be it late.
pub fn end(names: &Names) -> Result<()> {
    // A cgroup stays busy for a moment after its last process.
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        kill_all(names)?;
        match folders(names).iter().try_for_each(|folder| remove(folder)) {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn remove(folder: &Path) -> Result<()> {
    for dir in subtree(folder) {
        match fs::remove_dir(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", dir.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// As a child of a killed `up` does: joins the cgroup, and only then becomes another program.
    fn join(cgroup: &Path) -> std::io::Result<()> {
        let procs = cgroup.join("cgroup.procs");
        let mut command = Command::new("sleep");
        command.arg("60");
        // SAFETY: between fork and exec only one write to a file happens; `procs` was allocated before.
        unsafe { command.pre_exec(move || fs::write(&procs, "0")) };
        // `end` reaps it.
        command.spawn().map(drop)
    }

    #[test]
    fn who_joins_late_is_ended_and_then_none_can() {
        let names = Names::of(&std::env::temp_dir().join(format!("keelson-late-{}", std::process::id())));
        let cgroup = v2_root().unwrap().join(names.cgroup()).join("server");
        fs::create_dir_all(&cgroup).unwrap();
        let late = cgroup.clone();
        let joining = std::thread::spawn(move || {
            let join = |_: &u32| {
                std::thread::sleep(Duration::from_millis(30));
                join(&late).is_ok()
            };
            let joined = (0..200).take_while(join).count();
            (joined, !join(&0))
        });
        while processes(&names).is_empty() {
            std::thread::yield_now();
        }
        let ended = end(&names);
        let (joined, is_refused) = joining.join().unwrap();
        // Whatever the outcome, nothing stays.
        end(&names).unwrap();
        ended.unwrap();
        assert!(joined > 0 && is_refused, "{joined} joined before none could");
        assert!(folders(&names).is_empty());
    }
}
