//! The underlay: a bridge, and a network namespace with one cable to it per host.

use super::names::Names;
use crate::run::sh;
use anyhow::Result;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Makes the bridge, the server's and the nodes' namespaces, and that of a client outside of the cluster.
pub fn create(names: &Names, nodes: usize) -> Result<()> {
    let bridge = names.bridge();
    sh(&format!("ip link add {bridge} type bridge"))?;
    sh(&format!("ip address add {}/24 dev {bridge}", names.machine_ip()))?;
    sh(&format!("ip link set {bridge} up"))?;
    host(names, "server", names.server_ip())?;
    for index in 1..=nodes {
        host(names, &Names::node(index), names.node_ip(index))?;
    }
    host(names, "client", names.client_ip())
}

fn host(names: &Names, host: &str, address: Ipv4Addr) -> Result<()> {
    let (netns, cable, bridge) = (names.netns(host), names.cable(host), names.bridge());
    sh(&format!("ip netns add {netns}"))?;
    sh(&format!("ip link add {cable} type veth peer name eth0 netns {netns}"))?;
    sh(&format!("ip link set {cable} master {bridge} up"))?;
    sh(&format!("ip -n {netns} link set lo up"))?;
    sh(&format!("ip -n {netns} address add {address}/24 dev eth0"))?;
    sh(&format!("ip -n {netns} link set eth0 up"))?;
    sh(&format!("ip -n {netns} route add default via {}", names.machine_ip()))?;
    Ok(())
}

/// Every process in one of the cluster's namespaces, whoever started it.
pub fn processes(names: &Names) -> Vec<i32> {
    let prefix = names.netns("");
    let all = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let ours = all.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let inodes: Vec<u64> = ours.filter_map(|entry| Some(entry.path().metadata().ok()?.ino())).collect();
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .filter(|pid: &i32| {
            let net = std::fs::metadata(format!("/proc/{pid}/ns/net"));
            net.is_ok_and(|net| inodes.contains(&net.ino()))
        })
        .collect()
}

/// Removes the namespaces (their interfaces, routes and rules go with them), the cables and the bridge.
pub fn remove(names: &Names) -> Result<()> {
    let prefix = names.netns("");
    for line in sh("ip netns list")?.lines() {
        if let Some(netns) = line.split_whitespace().next().filter(|n| n.starts_with(&prefix)) {
            sh(&format!("ip netns delete {netns}"))?;
        }
    }
    let bridge = names.bridge();
    for line in sh("ip -o link show")?.lines() {
        let name = line.split(": ").nth(1).unwrap_or_default().split('@').next().unwrap_or_default();
        // A cable goes with its namespace, which the kernel may still be taking down.
        if name.starts_with(&bridge) && Path::new("/sys/class/net").join(name).exists() {
            let result = sh(&format!("ip link delete {name}"));
            if Path::new("/sys/class/net").join(name).exists() {
                result?;
            }
        }
    }
    Ok(())
}
