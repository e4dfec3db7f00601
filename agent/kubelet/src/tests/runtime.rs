//! A private containerd per test, which leaves nothing behind: also when the test fails, and (by the next
//! test's sweep) when it was killed.

use super::image;
use crate::volume::mounts;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PREFIX: &str = "keelson-kubelet-test-";

pub struct Containerd {
    pub dir: PathBuf,
    child: Child,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Containerd {
    /// Starts one with our images and a network plugin that only hands out addresses.
    pub fn start() -> Self {
        sweep_leftovers();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("{PREFIX}{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        write_network(&dir);
        std::fs::write(dir.join("config.toml"), config(&dir)).unwrap();
        let child = spawn(&dir);
        let this = Self { dir, child };
        this.wait();
        let archive = this.dir.join("images.tar");
        image::write(&archive);
        this.ctr(&["images", "import", archive.to_str().unwrap()]);
        this
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("c.sock")
    }

    /// Kills containerd and starts it again; the shims and containers go on.
    pub fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.dir);
        self.wait();
    }

    /// Where this test's pods have their cgroups.
    pub fn cgroup_root(&self) -> String {
        format!("/{}", self.dir.file_name().unwrap().to_str().unwrap())
    }

    pub fn ctr(&self, args: &[&str]) -> String {
        let socket = self.socket();
        let mut command = Command::new("ctr");
        command.args(["-a", socket.to_str().unwrap(), "-n", "k8s.io"]).args(args);
        let output = command.output().unwrap();
        assert!(output.status.success(), "ctr {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(20);
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < end, "containerd did not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        clean(&self.dir);
    }
}

fn spawn(dir: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    Command::new("containerd")
        .args(["--config", dir.join("config.toml").to_str().unwrap(), "--log-level", "warn"])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn config(dir: &Path) -> String {
    let dir = dir.display();
    let pause = image::PAUSE;
    format!(
        r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{dir}/c.sock"
[ttrpc]
  address = "{dir}/t.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{dir}/cni"
    conf_dir = "{dir}/net.d"
"#
    )
}

/// A plugin that answers ADD with the next address of 10.99.0.0/16 and does nothing else.
fn write_network(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let script = r#"#!/bin/sh
case "$CNI_COMMAND" in
ADD) n=$(mktemp -u XXXXXX | cksum | cut -d' ' -f1)
 ip="10.99.$((n % 250)).$((n / 250 % 250 + 1))"
 echo "{\"cniVersion\":\"0.4.0\",\"interfaces\":[{\"name\":\"$CNI_IFNAME\",\"sandbox\":\"$CNI_NETNS\"}],\"ips\":[{\"version\":\"4\",\"address\":\"$ip/32\",\"interface\":0}]}";;
VERSION) echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}';;
esac
exit 0
"#;
    std::fs::create_dir_all(dir.join("cni")).unwrap();
    std::fs::create_dir_all(dir.join("net.d")).unwrap();
    for name in ["addresses", "loopback"] {
        let path = dir.join("cni").join(name);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let conf = r#"{"cniVersion": "0.4.0", "name": "test", "plugins": [{"type": "addresses"}]}"#;
    std::fs::write(dir.join("net.d/10-test.conflist"), conf).unwrap();
}

/// Ends every process of ours that names something in this folder, then its mounts, cgroups and files.
fn clean(dir: &Path) {
    let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
    let groups = cgroup_folders(&name);
    for _ in 0..50 {
        let mut pids = processes_naming(dir);
        pids.extend(groups.iter().flat_map(|g| processes_in(g)));
        if pids.is_empty() {
            break;
        }
        for pid in pids {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = mounts::unmount_below(dir);
    for group in groups {
        remove_groups(&group);
    }
    let _ = std::fs::remove_dir_all(dir);
}

/// With the slash: the first test's folder begins as the tenth's does.
fn processes_naming(dir: &Path) -> Vec<i32> {
    let needle = format!("{}/", dir.display()).into_bytes();
    let own = i32::try_from(std::process::id()).unwrap();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.windows(needle.len()).any(|w| w == needle)
        })
        .collect()
}

/// The folders of one test in all hierarchies.
fn cgroup_folders(name: &str) -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines()
        .filter(|l| l.contains(" - cgroup"))
        .filter_map(|l| l.split(' ').nth(4))
        .map(|mount| Path::new(mount).join(name))
        .filter(|p| p.is_dir())
        .collect()
}

fn processes_in(group: &Path) -> Vec<i32> {
    let mut pids: Vec<i32> = std::fs::read_to_string(group.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|l| l.parse().ok())
        .collect();
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            pids.extend(processes_in(&entry.path()));
        }
    }
    pids
}

fn remove_groups(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(group);
}

/// What tests of dead processes left: they were killed before they could clean up.
fn sweep_leftovers() {
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|n| n.strip_prefix(PREFIX)) else { continue };
        let pid = rest.split('-').next().unwrap_or("");
        if !Path::new("/proc").join(pid).exists() {
            clean(&entry.path());
        }
    }
}
