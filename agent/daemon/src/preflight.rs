//! What a node needs of its machine, checked before anything is started: each lack is one line that says what to
//! do.

use std::fs;
use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};

/// What the checks look at; a value, so that the rules can be tested without the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub is_root: bool,
    /// `/proc/mounts`.
    pub mounts: String,
    /// Whether something listens on the kubelet's port already.
    pub kubelet_port_used: bool,
    pub kubelet_port: u16,
    /// Where pins are to be, when eBPF is asked for by name and that is on no BPF file system.
    pub no_bpffs: Option<PathBuf>,
    /// Files that are not there, of those that containerd copies into pods.
    pub no_files: Vec<&'static str>,
}

/// What containerd copies into every pod's sandbox, and what to put there when a machine has none.
const COPIED: [(&str, &str); 2] = [
    ("/etc/hosts", "echo 127.0.0.1 localhost > /etc/hosts"),
    ("/etc/resolv.conf", "name a DNS server in it, or leave it empty: touch /etc/resolv.conf"),
];

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this machine cannot be a node:\n  {}", .0.join("\n  "))]
pub struct PreflightError(pub Vec<String>);

impl Machine {
    /// Looks at the machine.
    ///
    /// A BPF file system is made where one is missing and can be; only a node that must have one (`needs_bpffs`) lacks
    /// it.
    pub fn look(address: IpAddr, kubelet_port: u16, needs_bpffs: Option<&Path>) -> Self {
        let is_root = nix::unistd::geteuid().is_root();
        Self {
            is_root,
            no_bpffs: needs_bpffs.filter(|dir| is_root && !ensure_bpffs(dir)).map(Path::to_owned),
            mounts: fs::read_to_string("/proc/mounts").unwrap_or_default(),
            kubelet_port_used: matches!(
                TcpListener::bind((address, kubelet_port)),
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse
            ),
            kubelet_port,
            no_files: COPIED
                .map(|(file, _)| file)
                .into_iter()
                .filter(|file| !Path::new(file).exists())
                .collect(),
        }
    }

    /// Everything that is missing, or nothing.
    pub fn check(&self) -> Result<(), PreflightError> {
        let mut missing = Vec::new();
        if !self.is_root {
            missing
                .push("the agent must run as root (namespaces, cgroups, BPF): run it with sudo".to_owned());
        }
        if !self.has_cgroups() {
            missing.push(
                "no cgroups are mounted below /sys/fs/cgroup: mount -t cgroup2 none /sys/fs/cgroup"
                    .to_owned(),
            );
        }
        if self.kubelet_port_used {
            missing.push(format!(
                "port {port} is in use, by another kubelet?  ss -ltnp sport = :{port}  shows by whom; \
                 kubeletPort in the agent's configuration sets another",
                port = self.kubelet_port
            ));
        }
        if let Some(dir) = &self.no_bpffs {
            missing.push(format!(
                "pinDir {} is not on a BPF file system, which datapath: ebpf needs: mount -t bpf bpf /sys/fs/bpf, \
                 or take datapath: auto, which uses iptables then",
                dir.display()
            ));
        }
        for (file, cure) in COPIED.iter().filter(|(file, _)| self.no_files.contains(file)) {
            missing.push(format!("there is no {file}, which containerd copies into every pod: {cure}"));
        }
        if missing.is_empty() { Ok(()) } else { Err(PreflightError(missing)) }
    }

    fn has_cgroups(&self) -> bool {
        self.mounts.lines().any(|line| {
            let mut words = line.split(' ').skip(1);
            let at = words.next().is_some_and(|path| path.starts_with("/sys/fs/cgroup"));
            at && words.next().is_some_and(|kind| kind.starts_with("cgroup"))
        })
    }
}

/// Makes sure that `pin_dir` is on a BPF file system: mounts one at `/sys/fs/bpf` when that is where it should be
/// and nothing is mounted there yet. False when there is none: then eBPF cannot be used.
pub fn ensure_bpffs(pin_dir: &Path) -> bool {
    let default = Path::new("/sys/fs/bpf");
    if is_bpffs(pin_dir) {
        return true;
    }
    if !pin_dir.starts_with(default) || !default.exists() {
        return false;
    }
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("bpf"), default, Some("bpf"), flags, None::<&str>).is_ok()
}

/// Whether the closest existing folder of `path` is on a BPF file system (magic 0xcafe4a11, statfs(2)).
fn is_bpffs(path: &Path) -> bool {
    let existing = path.ancestors().find(|p| p.exists());
    existing
        .and_then(|p| nix::sys::statfs::statfs(p).ok())
        .is_some_and(|stat| stat.filesystem_type() == nix::sys::statfs::FsType(0xcafe_4a11))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Machine {
        Machine {
            is_root: true,
            mounts: "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n".to_owned(),
            kubelet_port_used: false,
            kubelet_port: 10250,
            no_bpffs: None,
            no_files: Vec::new(),
        }
    }

    #[test]
    fn each_lack_is_named() {
        assert_eq!(good().check(), Ok(()));
        let hybrid =
            "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n".to_owned();
        assert_eq!(Machine { mounts: hybrid, ..good() }.check(), Ok(()));
        for (machine, word) in [
            (Machine { is_root: false, ..good() }, "root"),
            (Machine { mounts: String::new(), ..good() }, "cgroup2"),
            (Machine { kubelet_port_used: true, ..good() }, "10250"),
            (Machine { no_bpffs: Some("/pins".into()), ..good() }, "pinDir /pins"),
            (Machine { no_files: vec!["/etc/hosts"], ..good() }, "127.0.0.1 localhost"),
            (Machine { no_files: vec!["/etc/resolv.conf"], ..good() }, "touch /etc/resolv.conf"),
        ] {
            let PreflightError(lines) = machine.check().unwrap_err();
            assert!(lines.len() == 1 && lines[0].contains(word), "{lines:?}");
        }
    }
}
