//! It is eBPF: nothing of the kernel's own packet machinery carries pods, and every packet is counted. Where it is not
//! eBPF, the same works by iptables.

use super::app::{MINUTE, assert_on_nodes, assert_spread, deploy};
use crate::harness::{
    Kubectl, TestCluster, call_from_node, eventually, hook_counts, in_host, outer_packets, send_datagrams,
    serve_echo,
};
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

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

/// A Service of the host outside of the cluster, where the test itself answers.
const OUTSIDE: &str = r#"
apiVersion: v1
kind: Service
metadata: { name: outside, namespace: default }
spec:
  ports:
    - { name: t, protocol: TCP, port: 80, targetPort: 9999 }
    - { name: u, protocol: UDP, port: 80, targetPort: 9999 }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: outside-1
  namespace: default
  labels: { kubernetes.io/service-name: outside }
addressType: IPv4
ports:
  - { name: t, protocol: TCP, port: 9999 }
  - { name: u, protocol: UDP, port: 9999 }
endpoints: [{ addresses: [ADDRESS] }]
"#;

type Counts = BTreeMap<&'static str, u64>;

/// Where nodes speak to the server, which is never quiet; compared with the kernel's own count instead.
const OUTER: [&str; 2] = ["from_outer", "to_outer"];

/// What both nodes have counted.
fn counts(cluster: &TestCluster) -> [Counts; 2] {
    [1, 2].map(|index| {
        let mut counts = hook_counts(cluster, index);
        counts.retain(|hook, _| !OUTER.contains(hook));
        counts
    })
}

/// Returns when nothing was counted for a while: what starts has started.
fn settle(cluster: &TestCluster) {
    eventually("a quiet cluster", MINUTE, || {
        let before = counts(cluster);
        std::thread::sleep(Duration::from_secs(3));
        let after = counts(cluster);
        if before == after { Ok(()) } else { Err(format!("{before:?} and then {after:?}")) }
    });
}

/// Asserts that `work` is counted exactly so on each of the nodes, and by no other hook.
fn assert_counted(what: &str, cluster: &TestCluster, work: impl FnOnce(), wanted: [&[(&str, u64)]; 2]) {
    settle(cluster);
    let before = counts(cluster);
    work();
    // An answer that nobody waited for.
    std::thread::sleep(Duration::from_millis(200));
    let after = counts(cluster);
    for (node, wanted) in wanted.iter().enumerate() {
        let counted = |hook: &&&'static str| after[node][**hook] - before[node][**hook];
        let found: Vec<(&str, u64)> =
            after[node].keys().filter(|hook| counted(hook) > 0).map(|hook| (*hook, counted(&hook))).collect();
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{what}: node{}", node + 1);
    }
}

/// As many packets as were sent, no more and no less, at each hook on their way.
fn assert_every_packet_counted(cluster: &TestCluster, kubectl: &Kubectl) {
    const COUNT: u64 = 40;
    let two = kubectl.run(&["get", "pod", "two", "-o=jsonpath={.status.podIP}"]);
    let exec = |line: &str| kubectl.run(&["exec", "one", "--", "sh", "-c", line]);
    // The kubelet carries each exec to the runtime's streaming server, by one connection of its own. accept() asks for
    // the peer's name: the kubelet's of the server, and the runtime's of the kubelet.
    const EXEC: [(&str, u64); 2] = [("connect4", 1), ("getpeername4", 2)];
    assert_counted("an exec", cluster, || drop(exec("true")), [&EXEC, &[]]);
    let passed = [("from_pod", COUNT), ("to_vxlan", COUNT), ("from_vxlan", COUNT)];
    assert_counted(
        "pings between nodes",
        cluster,
        || drop(exec(&format!("ping -q -c {COUNT} -i 0.02 {two}"))),
        [&[&passed[..], &EXEC].concat(), &passed],
    );
    // The service's only endpoint is a pod of the other node. It is the socket that is translated, and counted: once
    // per connection, on the client's node; none of its packets is.
    kubectl.run(&["label", "pod", "one", "app-"]);
    let service = kubectl.run(&["get", "service", "pair", "-o=jsonpath={.spec.clusterIP}"]);
    let connect =
        format!("for i in $(seq {COUNT}); do echo x | nc -w 2 {service} 80 >/dev/null || exit 1; done");
    settle(cluster);
    let before = counts(cluster);
    exec(&connect);
    let after = counts(cluster);
    let calls = |node: usize, hook: &str| after[node][hook] - before[node][hook];
    assert_eq!(["connect4", "connect6"].map(|hook| calls(0, hook)), [COUNT + EXEC[0].1, 0]);
    assert_eq!(["connect4", "connect6"].map(|hook| calls(1, hook)), [0, 0]);
}

/// Each call of a socket is counted once, by the hook of its kind and family, and shows whom it asked for.
fn assert_every_call_counted(cluster: &TestCluster, kubectl: &Kubectl) {
    const COUNT: u64 = 30;
    serve_echo(cluster, "client", 9999);
    serve_echo(cluster, "node1", 9998);
    kubectl.apply(&OUTSIDE.replace("ADDRESS", &cluster.names.client_ip().to_string()));
    let service = kubectl.run(&["get", "service", "outside", "-o=jsonpath={.spec.clusterIP}"]);
    let plain: SocketAddr = format!("{service}:80").parse().unwrap();
    let mapped: SocketAddr = format!("[::ffff:{service}]:80").parse().unwrap();
    let rows = [
        ("tcp", plain, ["connect4", "getpeername4"]),
        ("tcp", mapped, ["connect6", "getpeername6"]),
        ("udp", plain, ["sendmsg4", "recvmsg4"]),
        // The kernel hands a mapped address to IPv4 before it asks anybody; IPv6 alone has nothing to translate here.
        ("udp", mapped, ["sendmsg4", "recvmsg6"]),
        ("udp", SocketAddr::from((Ipv6Addr::LOCALHOST, 9998)), ["sendmsg6", "recvmsg6"]),
    ];
    for (kind, to, hooks) in rows {
        let wanted = hooks.map(|hook| (hook, COUNT));
        let call = || call_from_node(cluster, 1, kind, COUNT, to);
        assert_counted(&format!("{kind} to {to}"), cluster, call, [&wanted, &[]]);
    }
}

/// The hooks of the outer interface count what the kernel counts there, packet by packet.
fn assert_outer_counted(cluster: &TestCluster) {
    const COUNT: u64 = 50;
    let look = || {
        eventually("two looks without a packet in between", MINUTE, || {
            let hooks = || OUTER.map(|hook| hook_counts(cluster, 1)[hook]);
            let (before, kernel, after) = (hooks(), outer_packets(cluster, 1), hooks());
            if before == after { Ok((before, kernel)) } else { Err("it is never quiet".to_owned()) }
        })
    };
    let before = look();
    // The discard port: nobody listens.
    let (node, client) = (cluster.names.node_ip(1), cluster.names.client_ip());
    send_datagrams(cluster, "client", SocketAddr::from((node, 9)), COUNT);
    send_datagrams(cluster, "node1", SocketAddr::from((client, 9)), COUNT);
    // The first ones waited for the other's MAC.
    std::thread::sleep(Duration::from_millis(500));
    let after = look();
    for (way, name) in OUTER.iter().enumerate() {
        let (hook, kernel) = (after.0[way] - before.0[way], after.1[way] - before.1[way]);
        assert!(kernel >= COUNT, "{name}: {kernel} packets of {COUNT} and more");
        assert_eq!(hook, kernel, "{name}: every packet is counted once");
    }
}

/// Services, NodePorts and pods work although every node drops what it would forward, has no nat rule and no
/// bridge; and the kernel's connection tracking has seen no pod.
#[test]
fn nothing_but_ebpf_carries_pods() {
    let cluster = TestCluster::up("ebpf", 3, "ebpf");
    let kubectl = cluster.kubectl(33);
    let nodes = ["node1", "node2", "node3"];
    for node in nodes {
        let rules = in_host(&cluster, node, "iptables", &["-S", "FORWARD"]).unwrap();
        assert!(rules.starts_with("-P FORWARD DROP"), "{rules}");
        // A kernel without such a rule tracks nothing, whoever carries the pods.
        let track = ["-t", "mangle", "-A", "PREROUTING", "-m", "conntrack", "--ctstate", "INVALID"];
        in_host(&cluster, node, "iptables", &track).unwrap();
    }
    pair(&kubectl);
    assert_every_packet_counted(&cluster, &kubectl);
    assert_every_call_counted(&cluster, &kubectl);
    assert_outer_counted(&cluster);
    deploy(&kubectl);
    for index in 1..=3 {
        assert_spread(&cluster, index, 3);
    }
    for (node, index) in nodes.into_iter().zip(1..) {
        let rules = in_host(&cluster, node, "iptables", &["-t", "nat", "-S"]).unwrap();
        let beyond_policy: Vec<_> = rules.lines().filter(|l| !l.starts_with("-P ")).collect();
        assert!(beyond_policy.is_empty(), "nat rules on {node}: {beyond_policy:?}");
        let bridges = in_host(&cluster, node, "ip", &["-o", "link", "show", "type", "bridge"]).unwrap();
        assert_eq!(bridges.trim(), "", "bridges on {node}");
        let pods = crossing(&cluster, index);
        assert!(pods.is_empty(), "pod flows in {node}'s conntrack: {pods:?}");
    }
    cluster.finish();
}

/// The flows of pods that a node tracks and that are none of its own.
fn crossing(cluster: &TestCluster, index: usize) -> Vec<String> {
    let flows = in_host(cluster, &format!("node{index}"), "conntrack", &["-L"]).unwrap();
    assert!(flows.lines().count() > 0, "node{index}'s own flows are tracked");
    let own = [cluster.names.node_ip(index).to_string(), "10.96.0.10".to_owned()];
    flows.lines().filter(|flow| crosses(flow, &own)).map(str::to_owned).collect()
}

/// Whether a line of `conntrack -L` is of packets that cross the node from or to a pod, as they came or as they are
/// answered. What a process of the node itself asks a pod (probes) or answers it (DNS) is the stack's, and tracked by
/// right.
fn crosses(flow: &str, own: &[String]) -> bool {
    let ends = |name: &'static str| flow.split(' ').filter_map(move |word| word.strip_prefix(name));
    let is_pod = |address: &str| address.starts_with("10.244.");
    let is_own = |address: &str| own.iter().any(|own| own == address);
    let mut ways = ends("src=").zip(ends("dst="));
    ways.any(|(source, destination)| {
        (is_pod(source) && !is_own(destination)) || (is_pod(destination) && !is_own(source))
    })
}

#[test]
fn what_crosses_a_node_is_told_from_what_is_its_own() {
    let own = ["10.77.0.11".to_owned(), "10.96.0.10".to_owned()];
    for (source, destination, answers, answered, expected) in [
        ("10.77.0.11", "10.77.0.2", "10.77.0.2", "10.77.0.11", false),
        // A probe, and a question to the node's DNS.
        ("10.77.0.11", "10.244.0.5", "10.244.0.5", "10.77.0.11", false),
        ("10.244.0.5", "10.96.0.10", "10.96.0.10", "10.244.0.5", false),
        ("10.244.0.5", "10.244.1.7", "10.244.1.7", "10.244.0.5", true),
        // By a service, out of the cluster, and in from outside through a NodePort or from another node.
        ("10.244.0.5", "10.96.0.77", "10.244.1.7", "10.244.0.5", true),
        ("10.244.0.5", "198.51.100.1", "198.51.100.1", "10.77.0.11", true),
        ("10.77.0.1", "10.77.0.11", "10.244.0.5", "10.77.0.1", true),
        ("10.77.0.12", "10.244.0.5", "10.244.0.5", "10.77.0.12", true),
    ] {
        let flow = format!(
            "tcp      6 431999 ESTABLISHED src={source} dst={destination} sport=40000 dport=80 src={answers} \
             dst={answered} sport=80 dport=40000 [ASSURED] mark=0 use=1"
        );
        assert_eq!(crosses(&flow, &own), expected, "{flow}");
    }
}

/// The same app on three nodes by the other backend: no program of ours is in the kernel.
#[test]
fn three_nodes_by_iptables() {
    let cluster = TestCluster::up("iptables3", 3, "iptables");
    let kubectl = cluster.kubectl(33);
    deploy(&kubectl);
    assert_on_nodes(&kubectl, 3);
    for index in 1..=3 {
        assert_spread(&cluster, index, 3);
        let rules = in_host(&cluster, &format!("node{index}"), "iptables-save", &["-t", "nat"]).unwrap();
        assert!(rules.contains("10.96.0.1/32"), "services are in node{index}'s rules: {rules}");
        let pins = cluster.names.node_dir(index).join("bpf").join(format!("v{}", keelson_ebpf_abi::LAYOUT));
        assert!(!pins.exists(), "no program is pinned on node{index}");
        // Here the kernel does carry pods: the look that finds none elsewhere finds some.
        assert_ne!(crossing(&cluster, index), [""; 0], "node{index} tracks no pod");
    }
    cluster.finish();
}
