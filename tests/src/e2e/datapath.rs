//! It is eBPF: nothing of the kernel's own packet machinery carries pods, and every packet is counted. Where it is not
//! eBPF, the same works by iptables.

use super::app::{MINUTE, assert_spread, deploy};
use crate::harness::{Kubectl, TestCluster, eventually, hook_counts, in_host};
use std::collections::{BTreeMap, BTreeSet};

/// One pod with a shell on each of two nodes; nothing else sends.
const PAIR: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: NAME, namespace: default, labels: { app: pair } }
spec:
  terminationGracePeriodSeconds: 1
  nodeSelector: { kubernetes.io/hostname: NODE }
  containers:
    - name: shell
      image: keelson.dev/busybox:1
      command: [nc, -ll, -p, "7000", -e, cat]
"#;

const SERVICE: &str = r#"
apiVersion: v1
kind: Service
metadata: { name: pair, namespace: default }
spec:
  selector: { app: pair }
  ports: [{ port: 80, targetPort: 7000 }]
"#;

fn pair(kubectl: &Kubectl) {
    kubectl.apply(&PAIR.replace("NAME", "one").replace("NODE", "node1"));
    kubectl.apply(&PAIR.replace("NAME", "two").replace("NODE", "node2"));
    kubectl.apply(SERVICE);
    kubectl.run(&["wait", "--for=condition=Ready", "pod/one", "pod/two", "--timeout=60s"]);
}

/// What each hook of two nodes counted while `work` was done.
fn counted(cluster: &TestCluster, work: impl FnOnce()) -> [BTreeMap<&'static str, u64>; 2] {
    let all = || [hook_counts(cluster, 1), hook_counts(cluster, 2)];
    let before = all();
    work();
    let mut after = all();
    for (after, before) in after.iter_mut().zip(&before) {
        after.iter_mut().for_each(|(hook, count)| *count -= before[hook]);
    }
    after
}

/// Calls `check` on what was counted during `work`, again when something else sent at the same moment.
fn assert_counted(what: &str, cluster: &TestCluster, work: impl Fn(), wanted: [(&'static str, u64); 4]) {
    eventually(what, MINUTE, || {
        let [one, two] = counted(cluster, &work);
        let found = [0, 1, 2, 3].map(|i| if i < 2 { one[wanted[i].0] } else { two[wanted[i].0] });
        let numbers = wanted.map(|(_, count)| count);
        if found == numbers { Ok(()) } else { Err(format!("{wanted:?}: found {found:?}")) }
    });
}

/// As many packets as were sent, no more and no less, at each hook on their way.
fn assert_every_packet_counted(cluster: &TestCluster, kubectl: &Kubectl) {
    const COUNT: u64 = 40;
    let two = kubectl.run(&["get", "pod", "two", "-o=jsonpath={.status.podIP}"]);
    let exec = |line: &str| kubectl.run(&["exec", "one", "--", "sh", "-c", line]);
    assert_counted(
        "pings between nodes",
        cluster,
        || drop(exec(&format!("ping -q -c {COUNT} -i 0.02 {two}"))),
        [("from_pod", COUNT), ("from_vxlan", COUNT), ("from_pod", COUNT), ("from_vxlan", COUNT)],
    );
    // Through a service it is the socket that is translated, and counted: once per connection, on the client's node.
    let service = kubectl.run(&["get", "service", "pair", "-o=jsonpath={.spec.clusterIP}"]);
    let connect = format!("for i in $(seq {COUNT}); do echo x | nc -w 2 {service} 80 >/dev/null; done");
    assert_counted(
        "connections through a service",
        cluster,
        || drop(exec(&connect)),
        // One more is the kubelet's, which carries the exec to the runtime.
        [("connect4", COUNT + 1), ("connect6", 0), ("connect4", 0), ("connect6", 0)],
    );
}

/// Services, NodePorts and pods work although every node drops what it would forward, has no nat rule and no
/// bridge; and the kernel's connection tracking has seen no pod.
#[test]
fn nothing_but_ebpf_carries_pods() {
    let cluster = TestCluster::up("ebpf", 3, "ebpf");
    let kubectl = cluster.kubectl(33);
    let nodes = ["node1", "node2", "node3"];
    for node in nodes {
        in_host(&cluster, node, "iptables", &["-P", "FORWARD", "DROP"]).unwrap();
    }
    pair(&kubectl);
    assert_every_packet_counted(&cluster, &kubectl);
    deploy(&kubectl);
    for index in 1..=3 {
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

/// The same app on three nodes by the other backend: no program of ours is in the kernel.
#[test]
fn three_nodes_by_iptables() {
    let cluster = TestCluster::up("iptables3", 3, "iptables");
    let kubectl = cluster.kubectl(33);
    deploy(&kubectl);
    let path = "-o=jsonpath={.items[*].spec.nodeName}";
    let nodes = kubectl.run(&["-n", "sample", "get", "pods", "-l", "app=backend", path]);
    let used: BTreeSet<_> = nodes.split_whitespace().collect();
    assert_eq!(used.len(), 3, "the backends are spread over the nodes: {nodes}");
    for index in 1..=3 {
        assert_spread(&cluster, index, 3);
        let rules = in_host(&cluster, &format!("node{index}"), "iptables-save", &["-t", "nat"]).unwrap();
        assert!(rules.contains("10.96.0.1/32"), "services are in node{index}'s rules: {rules}");
        let pins = cluster.names.node_dir(index).join("bpf").join(format!("v{}", keelson_ebpf_abi::LAYOUT));
        assert!(!pins.exists(), "no program is pinned on node{index}");
    }
    cluster.finish();
}
