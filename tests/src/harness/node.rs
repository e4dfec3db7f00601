//! What pods have left on a node.

use super::cluster::TestCluster;
use super::net::in_host;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What there is on node `index` on behalf of pods, by kind: interfaces, mounts, sandboxes, folders, cgroups and
/// addresses. Empty on a node without pods.
pub fn pods_things(cluster: &TestCluster, index: usize) -> BTreeMap<&'static str, Vec<String>> {
    let node = format!("node{index}");
    let dir = cluster.names.node_dir(index);
    let mut things = BTreeMap::from([
        ("interfaces", interfaces(cluster, &node)),
        ("mounts", mounts(&dir)),
        ("tasks", names(&dir.join("run/containerd/state/io.containerd.runtime.v2.task/k8s.io"))),
        ("kubelet folders", names(&dir.join("kubelet/pods"))),
        ("attachments", names(&dir.join("datapath/attachments"))),
        ("cgroups", cgroups(cluster, &node)),
        ("routes", routes(cluster, &node)),
    ]);
    things.retain(|_, all| !all.is_empty());
    things
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Host sides of pods' cables; the node's own is `eth0`.
fn interfaces(cluster: &TestCluster, node: &str) -> Vec<String> {
    let links = in_host(cluster, node, "ip", &["-o", "link", "show", "type", "veth"]).unwrap_or_default();
    links.lines().filter(|line| !line.contains(" eth0@")).map(str::to_owned).collect()
}

/// Host routes to pods.
fn routes(cluster: &TestCluster, node: &str) -> Vec<String> {
    let routes = in_host(cluster, node, "ip", &["-4", "route", "show"]).unwrap_or_default();
    let to_pod = |line: &&str| {
        let to = line.split(' ').next().unwrap_or_default();
        to.starts_with("10.244.") && !to.contains('/')
    };
    routes.lines().filter(to_pod).map(str::to_owned).collect()
}

/// The node's BPF file system is not a pod's.
fn mounts(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let below = |at: &&str| Path::new(at).starts_with(dir) && Path::new(at) != dir.join("bpf");
    text.lines().filter_map(|line| line.split(' ').nth(4)).filter(below).map(str::to_owned).collect()
}

/// Pods' cgroups in every hierarchy.
fn cgroups(cluster: &TestCluster, node: &str) -> Vec<String> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let hierarchies = names(&root).into_iter().map(|name| root.join(name)).chain([root.clone()]);
    let mut found = Vec::new();
    for hierarchy in hierarchies {
        let pods = hierarchy.join(cluster.names.cgroup()).join(node).join("kubepods");
        for class in [pods.clone(), pods.join("burstable"), pods.join("besteffort")] {
            let of_pods = names(&class).into_iter().filter(|name| name.starts_with("pod"));
            found.extend(of_pods.map(|name| class.join(name).display().to_string()));
        }
    }
    found
}
