//! What of a cluster could be left on a machine: looked at before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Everything that must be the same after as before, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine(BTreeSet<String>);

impl Machine {
    pub fn look() -> Self {
        let mut lines = BTreeSet::new();
        lines.extend(names("/sys/class/net").map(|n| format!("interface {n}")));
        lines.extend(names("/run/netns").map(|n| format!("network namespace {n}")));
        lines.extend(mounts());
        lines.extend(cgroups());
        lines.extend(processes());
        for (kind, command) in [("program", 11), ("map", 12), ("link", 31)] {
            lines.extend(bpf_ids(command).into_iter().map(|id| format!("BPF {kind} {id}")));
        }
        Self(lines)
    }

    /// Panics with what was left behind or taken away.
    pub fn assert_same_as_now(&self) {
        // The kernel frees BPF objects and namespaces a moment after their last user.
        let mut now = Self::look();
        for _ in 0..100 {
            if now.0.is_subset(&self.0) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
            now = Self::look();
        }
        let left: Vec<_> = now.0.difference(&self.0).collect();
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}

fn names(dir: &str) -> impl Iterator<Item = String> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned())
}

fn mounts() -> impl Iterator<Item = String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines()
        .filter_map(|l| l.split(' ').nth(4))
        .map(|at| format!("mount {at}"))
        .collect::<Vec<_>>()
        .into_iter()
}

/// Our cgroups in any hierarchy.
fn cgroups() -> Vec<String> {
    let mut found = Vec::new();
    let mut roots = vec![Path::new("/sys/fs/cgroup").to_owned()];
    roots.extend(names("/sys/fs/cgroup").map(|n| Path::new("/sys/fs/cgroup").join(n)));
    for root in roots {
        for name in names(&root.display().to_string()).filter(|n| n.starts_with("keelson")) {
            found.push(format!("cgroup {}/{name}", root.display()));
        }
    }
    found
}

/// Processes that are ours by name.
fn processes() -> Vec<String> {
    let ours = ["keelson", "containerd", "containerd-shim", "pause", "runc"];
    names("/proc")
        .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            let name = name.trim();
            ours.iter().any(|o| name.starts_with(o)).then(|| format!("process {pid} {name}"))
        })
        .collect()
}

/// Every id that BPF_PROG_GET_NEXT_ID (11), BPF_MAP_GET_NEXT_ID (12) or BPF_LINK_GET_NEXT_ID (31) walks through.
fn bpf_ids(command: libc::c_int) -> Vec<u32> {
    let mut ids = Vec::new();
    // bpf_attr of these commands: start id, next id, open flags.
    let mut attr = [0_u32; 3];
    loop {
        // SAFETY: the attribute lives through the call and its size is given; the kernel writes within it.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(&attr)) };
        if result != 0 {
            return ids;
        }
        ids.push(attr[1]);
        attr[0] = attr[1];
    }
}
