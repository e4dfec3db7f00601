//! What the kernel programs of a node have counted.

use super::cluster::TestCluster;
use super::net::in_host;
use aya::maps::{HashMap, Map, MapData, PerCpuArray};
use keelson_ebpf_abi::{Address, Endpoint, HOOKS, LAYOUT, map};
use std::collections::BTreeMap;
use std::net::IpAddr;
use xtask::cluster::Names;

fn pinned(cluster: &TestCluster, index: usize, name: &str) -> MapData {
    let pin = cluster.names.node_dir(index).join(format!("bpf/v{LAYOUT}/maps")).join(name);
    MapData::from_pin(&pin).expect("the map is pinned")
}

/// The addresses of the pods that node `index` has in its map.
pub fn pod_entries(cluster: &TestCluster, index: usize) -> Vec<IpAddr> {
    let data = pinned(cluster, index, map::ENDPOINTS);
    let entries: HashMap<_, [u8; 16], [u8; size_of::<Endpoint>()]> =
        Map::HashMap(data).try_into().expect("addresses and what they lead to");
    entries.keys().map(|key| Address::from_bytes(key.expect("keys can be read")).to_ip()).collect()
}

/// Packets and calls by hook on node `index`, as they stand in the pinned map: no agent is asked.
pub fn hook_counts(cluster: &TestCluster, index: usize) -> BTreeMap<&'static str, u64> {
    let data = pinned(cluster, index, map::HOOK_COUNTS);
    let counts: PerCpuArray<_, u64> = Map::PerCpuArray(data).try_into().expect("one counter per CPU");
    let sum = |index| counts.get(&index, 0).expect("each hook has a counter").iter().sum();
    HOOKS.iter().map(|hook| (hook.name(), sum(hook.index()))).collect()
}

/// Packets that the outer interface of node `index` has received and sent, as the kernel counts them.
pub fn outer_packets(cluster: &TestCluster, index: usize) -> [u64; 2] {
    let text = in_host(cluster, &Names::node(index), "ip", &["-s", "-j", "link", "show", "eth0"]).unwrap();
    let links: serde_json::Value = serde_json::from_str(&text).unwrap();
    ["rx", "tx"].map(|way| links[0]["stats64"][way]["packets"].as_u64().expect("the kernel counts packets"))
}
