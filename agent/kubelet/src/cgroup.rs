//! The cgroups of pods: made, limited and removed in every hierarchy that the machine has.
//!
//! Containers' own cgroups are the runtime's. A machine may have v1 hierarchies, the v2 tree, or both (hybrid).

use crate::pod::quantity::{CPU_PERIOD_US, Limits, Qos};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// A cgroup file or folder could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cgroup {path}: {source}")]
pub struct CgroupError {
    path: PathBuf,
    source: io::Error,
}

type Result<T> = std::result::Result<T, CgroupError>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    mount: PathBuf,
    /// `cpu`, `memory` ... of v1; empty for the v2 tree.
    controllers: BTreeSet<String>,
    v2: bool,
}

/// The machine's hierarchies and this node's place in them.
#[derive(Clone, Debug)]
pub struct Cgroups {
    hierarchies: Vec<Hierarchy>,
    /// Absolute below each mount: `/`, or `/keelson/<cluster>/<node>`.
    root: String,
}

impl Cgroups {
    /// Finds the hierarchies in /proc/self/mountinfo.
    pub fn detect(root: &str) -> Result<Self> {
        let path = Path::new("/proc/self/mountinfo");
        let text = std::fs::read_to_string(path).map_err(|e| failed(path, e))?;
        Ok(Self { hierarchies: parse_mounts(&text), root: format!("/{}", root.trim_matches('/')) })
    }

    /// Whether any hierarchy is mounted.
    pub fn has_any(&self) -> bool {
        !self.hierarchies.is_empty()
    }

    /// The parent of one class's pods, below each hierarchy.
    pub fn class(&self, qos: Qos) -> String {
        let root = self.root.trim_end_matches('/');
        match qos {
            Qos::Guaranteed => format!("{root}/kubepods"),
            Qos::Burstable => format!("{root}/kubepods/burstable"),
            Qos::BestEffort => format!("{root}/kubepods/besteffort"),
        }
    }

    /// One pod's cgroup: its containers' parent.
    pub fn pod(&self, qos: Qos, uid: &str) -> String {
        format!("{}/pod{uid}", self.class(qos))
    }

    /// Makes the node's own folders.
    pub fn create_classes(&self) -> Result<()> {
        for qos in [Qos::Guaranteed, Qos::Burstable, Qos::BestEffort] {
            self.create(&self.class(qos))?;
        }
        self.limit(&self.class(Qos::BestEffort), Limits { shares: 2, quota_us: 0, memory_bytes: 0 })
    }

    pub fn create_pod(&self, qos: Qos, uid: &str, limits: Limits) -> Result<()> {
        let group = self.pod(qos, uid);
        self.create(&group)?;
        self.limit(&group, limits)
    }

    /// The weight of all burstable pods together.
    pub fn weigh_burstable(&self, shares: i64) -> Result<()> {
        self.limit(&self.class(Qos::Burstable), Limits { shares, quota_us: 0, memory_bytes: 0 })
    }

    /// Removes a pod's cgroup in every hierarchy. What still runs in it is an error.
    pub fn remove_pod(&self, uid: &str) -> Result<()> {
        for qos in [Qos::Guaranteed, Qos::Burstable, Qos::BestEffort] {
            self.remove(&self.pod(qos, uid))?;
        }
        Ok(())
    }

    /// Sends SIGKILL to every process in a pod's cgroup, and returns their pids.
    pub fn kill_pod(&self, uid: &str) -> BTreeSet<i32> {
        let mut pids = BTreeSet::new();
        for hierarchy in &self.hierarchies {
            for qos in [Qos::Guaranteed, Qos::Burstable, Qos::BestEffort] {
                processes(&below(&hierarchy.mount, &self.pod(qos, uid)), &mut pids);
            }
        }
        for pid in &pids {
            // One that has ended since is what is wanted.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        pids
    }

    /// The uids of all pods that have a cgroup.
    pub fn pods(&self) -> BTreeSet<String> {
        let mut uids = BTreeSet::new();
        for hierarchy in &self.hierarchies {
            for qos in [Qos::Guaranteed, Qos::Burstable, Qos::BestEffort] {
                let Ok(entries) = std::fs::read_dir(below(&hierarchy.mount, &self.class(qos))) else {
                    continue;
                };
                let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
                uids.extend(names.filter_map(|n| n.strip_prefix("pod").map(str::to_owned)));
            }
        }
        uids
    }

    fn create(&self, group: &str) -> Result<()> {
        for hierarchy in &self.hierarchies {
            let path = below(&hierarchy.mount, group);
            if path.is_dir() {
                continue;
            }
            if hierarchy.v2 {
                delegate(&hierarchy.mount, &path)?;
            } else if hierarchy.controllers.contains("cpuset") {
                inherit_cpuset(&hierarchy.mount, &path)?;
            }
            std::fs::create_dir_all(&path).map_err(|e| failed(&path, e))?;
            if hierarchy.controllers.contains("cpuset") {
                copy_cpuset(&path)?;
            }
        }
        Ok(())
    }

    fn limit(&self, group: &str, limits: Limits) -> Result<()> {
        for hierarchy in &self.hierarchies {
            let path = below(&hierarchy.mount, group);
            for (file, value) in settings(hierarchy, limits) {
                let file = path.join(file);
                // Controllers that this machine does not hand down are left alone.
                if file.exists() {
                    std::fs::write(&file, value).map_err(|e| failed(&file, e))?;
                }
            }
        }
        Ok(())
    }

    fn remove(&self, group: &str) -> Result<()> {
        for hierarchy in &self.hierarchies {
            remove_tree(&below(&hierarchy.mount, group))?;
        }
        Ok(())
    }
}

fn failed(path: &Path, source: io::Error) -> CgroupError {
    CgroupError { path: path.to_owned(), source }
}

fn below(mount: &Path, group: &str) -> PathBuf {
    mount.join(group.trim_start_matches('/'))
}

fn parse_mounts(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(mount) = left.split(' ').nth(4) else { continue };
        let mut right = right.split(' ');
        let kind = right.next().unwrap_or("");
        let options = right.nth(1).unwrap_or("");
        let hierarchy = match kind {
            "cgroup2" => Hierarchy { mount: mount.into(), controllers: BTreeSet::new(), v2: true },
            "cgroup" => {
                let controllers = options.split(',').filter(|o| !matches!(*o, "rw" | "ro"));
                Hierarchy {
                    mount: mount.into(),
                    controllers: controllers.map(str::to_owned).collect(),
                    v2: false,
                }
            }
            _ => continue,
        };
        // The same hierarchy mounted twice is one.
        let same = |h: &Hierarchy| h.v2 == hierarchy.v2 && h.controllers == hierarchy.controllers;
        if !found.iter().any(same) {
            found.push(hierarchy);
        }
    }
    found
}

fn settings(hierarchy: &Hierarchy, limits: Limits) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if hierarchy.v2 {
        out.push(("cpu.weight", weight(limits.shares).to_string()));
        let quota = if limits.quota_us > 0 { limits.quota_us.to_string() } else { "max".to_owned() };
        out.push(("cpu.max", format!("{quota} {CPU_PERIOD_US}")));
        let memory = if limits.memory_bytes > 0 { limits.memory_bytes.to_string() } else { "max".to_owned() };
        out.push(("memory.max", memory));
        return out;
    }
    if hierarchy.controllers.contains("cpu") {
        out.push(("cpu.shares", limits.shares.to_string()));
        if limits.quota_us > 0 {
            out.push(("cpu.cfs_period_us", CPU_PERIOD_US.to_string()));
            out.push(("cpu.cfs_quota_us", limits.quota_us.to_string()));
        }
    }
    if hierarchy.controllers.contains("memory") && limits.memory_bytes > 0 {
        out.push(("memory.limit_in_bytes", limits.memory_bytes.to_string()));
    }
    out
}

/// The v2 weight (1..10000) of v1 shares (2..262144).
fn weight(shares: i64) -> i64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// Hands the controllers down from the mount to the parent of `path`, making the folders between.
fn delegate(mount: &Path, path: &Path) -> Result<()> {
    let Ok(relative) = path.strip_prefix(mount) else { return Ok(()) };
    let mut at = mount.to_owned();
    for part in relative.components() {
        let available = std::fs::read_to_string(at.join("cgroup.controllers")).unwrap_or_default();
        for name in available.split_whitespace() {
            if matches!(name, "cpu" | "cpuset" | "memory" | "pids" | "io" | "hugetlb") {
                // A controller that cannot be had is missing from the pods, not a reason to run none.
                let _ = std::fs::write(at.join("cgroup.subtree_control"), format!("+{name}"));
            }
        }
        at.push(part);
        if !at.is_dir() {
            std::fs::create_dir(&at).map_err(|e| failed(&at, e))?;
        }
    }
    Ok(())
}

/// A fresh v1 cpuset is empty and takes no process: each folder gets its parent's values.
fn inherit_cpuset(mount: &Path, path: &Path) -> Result<()> {
    let Ok(relative) = path.strip_prefix(mount) else { return Ok(()) };
    let mut at = mount.to_owned();
    for part in relative.components() {
        at.push(part);
        if !at.is_dir() {
            std::fs::create_dir(&at).map_err(|e| failed(&at, e))?;
        }
        copy_cpuset(&at)?;
    }
    Ok(())
}

fn copy_cpuset(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = path.join(file);
        let empty = std::fs::read_to_string(&own).is_ok_and(|v| v.trim().is_empty());
        if empty {
            let value = std::fs::read_to_string(parent.join(file)).map_err(|e| failed(&own, e))?;
            std::fs::write(&own, value.trim()).map_err(|e| failed(&own, e))?;
        }
    }
    Ok(())
}

/// Adds the processes of a cgroup and of all below it.
fn processes(path: &Path, pids: &mut BTreeSet<i32>) {
    let text = std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    // Those of other PID namespaces read 0, which kill(2) takes for the caller's own group.
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            processes(&entry.path(), pids);
        }
    }
}

fn remove_tree(path: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(path, error)),
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    match std::fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
32 30 0:28 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
35 30 0:27 / /mnt/cpu rw - cgroup cgroup rw,cpu";

    #[test]
    fn mounts_of_a_hybrid_machine() {
        let found = parse_mounts(HYBRID);
        let paths: Vec<_> = found.iter().map(|h| h.mount.to_str().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "/sys/fs/cgroup/cpu",
                "/sys/fs/cgroup/memory",
                "/sys/fs/cgroup/systemd",
                "/sys/fs/cgroup/unified"
            ]
        );
        assert!(found[3].v2);
    }

    #[test]
    fn settings_of_both_versions() {
        let found = parse_mounts(HYBRID);
        let limits = Limits { shares: 1024, quota_us: 50_000, memory_bytes: 1 << 20 };
        assert_eq!(
            settings(&found[0], limits),
            [
                ("cpu.shares", "1024".to_owned()),
                ("cpu.cfs_period_us", "100000".to_owned()),
                ("cpu.cfs_quota_us", "50000".to_owned())
            ]
        );
        assert_eq!(settings(&found[1], limits), [("memory.limit_in_bytes", "1048576".to_owned())]);
        assert_eq!(settings(&found[3], limits)[0], ("cpu.weight", "39".to_owned()));
        assert_eq!(settings(&found[3], limits)[1], ("cpu.max", "50000 100000".to_owned()));
    }

    #[test]
    fn processes_of_a_cgroup_and_of_those_below() {
        let dir = std::env::temp_dir().join(format!("keelson-cgroup-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("container")).unwrap();
        // 0 stands for a process that is not in our PID namespace.
        std::fs::write(dir.join("cgroup.procs"), "0\n17\n").unwrap();
        std::fs::write(dir.join("container/cgroup.procs"), "4\n0\n").unwrap();
        let mut pids = BTreeSet::new();
        processes(&dir, &mut pids);
        processes(&dir.join("missing"), &mut pids);
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(pids, [4, 17].into());
    }

    #[test]
    fn a_pods_cgroup_on_this_machine() {
        let groups = Cgroups::detect(&format!("/keelson-test-{}", std::process::id())).unwrap();
        groups.create_classes().unwrap();
        let limits = Limits { shares: 512, quota_us: 20_000, memory_bytes: 64 << 20 };
        let made = groups.create_pod(Qos::Burstable, "u1", limits);
        let listed = groups.pods();
        let shares = groups
            .hierarchies
            .iter()
            .map(|h| below(&h.mount, &groups.pod(Qos::Burstable, "u1")))
            .filter_map(|p| std::fs::read_to_string(p.join("cpu.shares")).ok())
            .next();
        let removed = groups.remove_pod("u1");
        let after = groups.pods();
        groups.remove(&groups.root).unwrap();
        made.unwrap();
        removed.unwrap();
        assert!(listed.contains("u1"));
        assert!(after.is_empty());
        if let Some(shares) = shares {
            assert_eq!(shares.trim(), "512");
        }
    }
}
