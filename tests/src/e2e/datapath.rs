//! It is eBPF: nothing of the kernel's own packet machinery carries pods.

use super::app::{assert_spread, deploy};
use crate::harness::{TestCluster, in_host};

/// Services, NodePorts and pods work although every node drops what it would forward, has no nat rule and no
/// bridge; and the kernel's connection tracking has seen no pod.
#[test]
fn nothing_but_ebpf_carries_pods() {
    let cluster = TestCluster::up("ebpf", 2, "ebpf");
    let nodes = ["node1", "node2"];
    for node in nodes {
        in_host(&cluster, node, "iptables", &["-P", "FORWARD", "DROP"]).unwrap();
    }
    deploy(&cluster.kubectl(33));
    for index in 1..=2 {
        assert_spread(&cluster, index, 3);
    }
    for node in nodes {
        let rules = in_host(&cluster, node, "iptables", &["-t", "nat", "-S"]).unwrap();
        let beyond_policy: Vec<_> = rules.lines().filter(|l| !l.starts_with("-P ")).collect();
        assert!(beyond_policy.is_empty(), "nat rules on {node}: {beyond_policy:?}");
        let bridges = in_host(&cluster, node, "ip", &["-o", "link", "show", "type", "bridge"]).unwrap();
        assert_eq!(bridges.trim(), "", "bridges on {node}");
        let flows = in_host(&cluster, node, "conntrack", &["-L"]).unwrap();
        let pods: Vec<_> = flows.lines().filter(|l| l.contains("=10.244.")).collect();
        assert!(pods.is_empty(), "pod flows in {node}'s conntrack: {pods:?}");
    }
    cluster.finish();
}
