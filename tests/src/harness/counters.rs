//! What the kernel programs of a node have counted.

use super::cluster::TestCluster;
use aya::maps::{Map, MapData, PerCpuArray};
use keelson_ebpf_abi::{HOOKS, LAYOUT, map};
use std::collections::BTreeMap;

/// Packets and calls by hook on node `index`, as they stand in the pinned map: no agent is asked.
pub fn hook_counts(cluster: &TestCluster, index: usize) -> BTreeMap<&'static str, u64> {
    let pin = cluster.names.node_dir(index).join(format!("bpf/v{LAYOUT}/maps")).join(map::HOOK_COUNTS);
    let data = MapData::from_pin(&pin).expect("the counters are pinned");
    let counts: PerCpuArray<_, u64> = Map::PerCpuArray(data).try_into().expect("one counter per CPU");
    let sum = |index| counts.get(&index, 0).expect("each hook has a counter").iter().sum();
    HOOKS.iter().map(|hook| (hook.name(), sum(hook.index()))).collect()
}
