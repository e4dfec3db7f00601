//! A machine of its own, made of namespaces: what `keelson up` finds there is its alone, and it needs no setting of a
//! test's. Its network is that of a host of a cluster's underlay.
//!
//! It has its own file systems below /etc, /run, /sys and /var/lib, its own processes and cgroups; its programs and its
//! kernel are those of the machine that the test runs on.

use super::cluster::TestCluster;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use xtask::cluster::{Names, in_netns};

const SCRIPT: &str = include_str!("machine.sh");
/// How long making one may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A running machine; it ends with its cluster, or when it is dropped.
pub struct Machine {
    name: String,
    /// `unshare`, with whom everything in it ends.
    outer: Child,
    /// Its first process, as it is seen from outside.
    init: u32,
    /// The files by which a process enters its cgroups.
    cgroups: Vec<PathBuf>,
    log: PathBuf,
    /// The processes that wait for those inside.
    waiting: Vec<Child>,
}

impl Machine {
    /// Makes the machine `name` in the network of node `index` of the cluster.
    pub fn boot(cluster: &TestCluster, index: usize, name: &str) -> Self {
        let dir = cluster.names.state().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("init"), keelson_pause::PROGRAM).unwrap();
        fs::set_permissions(dir.join("init"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let script = dir.join("machine.sh");
        fs::write(&script, SCRIPT).unwrap();
        let group = format!("{}/{name}", cluster.names.cgroup());
        let netns = cluster.names.netns_path(&Names::node(index));
        let log = cluster.names.log(name);
        let mut command = in_netns(&netns, Path::new("/bin/sh"));
        command.arg(script).arg(&dir).arg(name).arg(&group);
        let outer = command.stdin(Stdio::null()).stdout(file(&log)).stderr(file(&log)).spawn().unwrap();
        let init = first_process(outer.id(), &log);
        Self { name: name.to_owned(), outer, init, cgroups: cgroups(&group), log, waiting: Vec::new() }
    }

    /// A path of the machine's, as it is seen from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.init))
    }

    /// A command in the machine, to be run by the caller.
    pub fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.init.to_string());
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"]);
        command.arg(program).args(args).env("HOME", "/run").env_remove("KUBECONFIG");
        let cgroups = self.cgroups.clone();
        // SAFETY: between fork and exec only files are written to; their names were allocated before.
        unsafe {
            command.pre_exec(move || cgroups.iter().try_for_each(|file| fs::write(file, "0")));
        }
        command
    }

    /// Runs a command to its end: what it printed, or what it said when it failed.
    pub fn run(&self, program: &Path, args: &[&str]) -> Result<String, String> {
        let output = self.command(program, args).stdin(Stdio::null()).output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Starts a command that goes on. What it says is in the log.
    pub fn start(&mut self, program: &Path, args: &[&str]) {
        let mut command = self.command(program, args);
        command.stdin(Stdio::null()).stdout(file(&self.log)).stderr(file(&self.log));
        self.waiting.push(command.spawn().unwrap());
    }

    /// All that was said by those that were started.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Processes of this program and these first arguments, by the numbers that they have outside.
    pub fn processes(&self, program: &Path, first: &str) -> Vec<i32> {
        let own = fs::read_link(format!("/proc/{}/ns/pid", self.init)).ok();
        let start = format!("{}\0{}", program.display(), first.replace(' ', "\0"));
        let numbers = fs::read_dir("/proc").unwrap().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        numbers
            .filter(|pid| fs::read_link(format!("/proc/{pid}/ns/pid")).ok() == own)
            .filter(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.starts_with(start.as_bytes())
            })
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the machine {} ends", self.name);
        }
        // The kernel kills what is in it.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        for mut waiting in self.waiting.drain(..) {
            let _ = waiting.wait();
        }
    }
}

fn file(path: &Path) -> fs::File {
    fs::OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// Waits until the machine is made: the only child of `outer` runs its first program.
fn first_process(outer: u32, log: &Path) -> u32 {
    let end = Instant::now() + LIMIT;
    let children = format!("/proc/{outer}/task/{outer}/children");
    loop {
        let child = fs::read_to_string(&children).unwrap_or_default().trim().parse::<u32>().ok();
        let runs = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == "/run/init\0")
        };
        if let Some(init) = child.filter(runs) {
            return init;
        }
        let said = || fs::read_to_string(log).unwrap_or_default();
        assert!(Instant::now() < end, "the machine is not made: {}", said());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Where processes that run `group`'s programs are, in every hierarchy.
fn cgroups(group: &str) -> Vec<PathBuf> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(&root).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = hierarchies.chain([root]).map(|hierarchy| hierarchy.join(group)).filter(|dir| dir.exists());
    folders
        .map(|dir| if dir.join("init").exists() { dir.join("init") } else { dir })
        .map(|dir| dir.join("cgroup.procs"))
        .collect()
}
