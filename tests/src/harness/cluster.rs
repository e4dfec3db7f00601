//! A cluster for one test.

use super::kubectl::Kubectl;
use super::leftovers::Belongings;
use super::machine::Machine;
use super::net::in_host;
use super::places::Share;
use super::turn::{Turn, turn};
use std::hash::BuildHasher;
use std::path::PathBuf;
use xtask::cluster::{Cluster, Spec};
use xtask::{images, repo};

/// What the folders of all checkouts' tests begin with.
const FOLDERS: &str = "/var/lib/keelson-test-";

/// A cluster that is gone when it is dropped; on a clean end the machine is looked over.
pub struct TestCluster {
    cluster: Cluster,
    turn: Turn,
}

impl TestCluster {
    /// Brings up `nodes` nodes; `name` makes the state folder, `datapath` is `auto`, `ebpf` or `iptables`.
    ///
    /// Where it is not iptables, it is eBPF: its programs are there, and the nodes' kernels forward nothing by
    /// themselves, so that no test can pass by another way.
    pub fn up(name: &str, nodes: usize, datapath: &str) -> Self {
        Self::up_with(Share::Half, name, nodes, datapath)
    }

    /// The same with no other test at work beside it, for a test that measures time.
    pub fn up_alone(name: &str, nodes: usize, datapath: &str) -> Self {
        Self::up_with(Share::Whole, name, nodes, datapath)
    }

    fn up_with(share: Share, name: &str, nodes: usize, datapath: &str) -> Self {
        let up = Self::begin(share, name, nodes, datapath, Cluster::up);
        if datapath != "iptables" {
            let known = Belongings::of(&up.names).bpf_objects();
            assert!(known > 10, "{datapath} chose eBPF, whose programs, maps and links are pinned: {known}");
            for index in 1..=nodes {
                in_host(&up, &format!("node{index}"), "iptables", &["-P", "FORWARD", "DROP"])
                    .expect("the node's kernel forwards nothing");
            }
        }
        up
    }

    /// Only the folder and the network, of a server and so many nodes: the test starts what is to run.
    pub fn prepared(name: &str, nodes: usize) -> Self {
        Self::begin(Share::Half, name, nodes, "auto", Cluster::prepare)
    }

    fn begin(
        share: Share,
        name: &str,
        nodes: usize,
        datapath: &str,
        make: impl FnOnce(Spec) -> anyhow::Result<Cluster>,
    ) -> Self {
        let turn = turn(share);
        assert_room();
        let state = state_of(name);
        xtask::cluster::down(&state).expect("what an earlier run left can be removed");
        let program = repo::program("keelson", false);
        assert!(program.exists(), "build it first: cargo xtask build");
        let mut archives: Vec<_> =
            std::fs::read_dir(images::dir()).expect("images are made").flatten().map(|e| e.path()).collect();
        archives.sort();
        let spec =
            Spec { state, nodes, datapath: datapath.to_owned(), program, images: archives, verbose: false };
        match make(spec.clone()) {
            Ok(cluster) => Self { cluster, turn },
            Err(error) => {
                show_logs(&spec.state);
                let _ = xtask::cluster::down(&spec.state);
                panic!("the cluster does not come up: {error:#}");
            }
        }
    }

    /// Lets other tests have their turn while this one only `waits`.
    pub fn rest<T>(&self, waits: impl FnOnce() -> T) -> T {
        self.turn.rest(waits)
    }

    /// kubectl 1.`minor` as administrator.
    pub fn kubectl(&self, minor: u32) -> Kubectl {
        let cache = self.cluster.spec.state.join(format!("kubectl-cache-{minor}"));
        Kubectl::version(minor, self.cluster.kubeconfig(), cache)
    }

    /// kubectl 1.`minor` with a bearer token and nothing else.
    pub fn kubectl_with_token(&self, minor: u32, token: &str) -> Kubectl {
        let admin = self.kubectl(minor).run(&["config", "view", "--raw", "-o", "json"]);
        let mut config: serde_json::Value = serde_json::from_str(&admin).expect("kubectl prints JSON");
        config["users"][0]["user"] = serde_json::json!({ "token": token.trim() });
        let number = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(token);
        let file = self.cluster.spec.state.join(format!("token-{number:x}.kubeconfig"));
        std::fs::write(&file, config.to_string()).expect("the state folder can be written to");
        Kubectl::version(minor, file, self.cluster.spec.state.join("kubectl-cache-token"))
    }

    /// Ends the cluster and asserts that nothing of it is left on the machine.
    pub fn finish(self) {
        self.finish_with([]);
    }

    /// The same with machines of their own in the cluster's network.
    pub fn finish_with<const N: usize>(self, machines: [Machine; N]) {
        let mut belongings = Belongings::of(&self.cluster.names);
        for machine in &machines {
            let known = belongings.bpf_objects();
            belongings.add_pins(&machine.path("/sys/fs/bpf"));
            assert!(belongings.bpf_objects() > known + 10, "a machine's programs, maps and links are known");
        }
        drop(machines);
        self.cluster.down().expect("the cluster goes down");
        belongings.assert_gone(&self.cluster.names);
    }
}

impl std::ops::Deref for TestCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show_logs(&self.cluster.spec.state);
        }
        let _ = self.cluster.down();
    }
}

/// A node with less than a tenth of its disk free takes no pods, and a test would only say that they do not come up.
fn assert_room() {
    let stat = nix::sys::statvfs::statvfs("/var/lib").expect("the disk can be asked for its size");
    let (free, all) = (stat.blocks_available(), stat.blocks());
    let free_mib = free.saturating_mul(stat.fragment_size()) >> 20;
    assert!(
        free.saturating_mul(100) >= all.saturating_mul(11),
        "the disk of /var/lib has {free_mib} MiB free, less than 11 %: nodes would have DiskPressure; make room first"
    );
}

/// Where the cluster of a test lives.
pub fn state_of(name: &str) -> PathBuf {
    folder_of_tests().join(name)
}

/// Where the clusters of all tests live: apart for each checkout, so that their tests do not meet.
pub fn folder_of_tests() -> PathBuf {
    let checkout =
        std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(repo::root());
    PathBuf::from(format!("{FOLDERS}{:04x}", checkout & 0xffff))
}

/// The same of other checkouts, whether their tests run now or were killed.
pub fn folders_of_others() -> Vec<PathBuf> {
    let (parent, prefix) = FOLDERS.rsplit_once('/').expect("it is a path");
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    folders.map(|entry| entry.path()).filter(|path| *path != folder_of_tests()).collect()
}

/// The last lines of every process, for a test that fails.
fn show_logs(state: &std::path::Path) {
    for entry in std::fs::read_dir(state.join("logs")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        eprintln!("--- {} ---", entry.file_name().to_string_lossy());
        for line in lines.iter().skip(lines.len().saturating_sub(40)) {
            eprintln!("{line}");
        }
    }
}
