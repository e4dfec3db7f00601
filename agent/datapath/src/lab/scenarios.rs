//! Whole nodes on the real kernel: what an application sees, on both backends.

use super::node::Pod;
use super::{LabNode, Namespace, probe, switch, wire};
use crate::engine::Mode;
use crate::tables::Views;
use crate::tables::tests::{node, service, slice};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const CLIENT: &str = "192.168.7.100";

pub(super) struct Cluster {
    pub(super) nodes: Vec<LabNode>,
    pub(super) client: Namespace,
    _switch: Namespace,
}

/// Name, address, node port, backends.
pub(super) type Shown<'a> = (&'a str, &'a str, u16, &'a [&'a str]);

impl Cluster {
    pub(super) fn new(nodes: u8, mode: Mode) -> Self {
        let switch = switch();
        let client = Namespace::new("client");
        wire(&switch, &client, CLIENT);
        let node = |number: u8| {
            let ip = format!("192.168.7.{number}");
            let node = LabNode::new(&switch, &format!("n{number}"), &ip, CLIENT, mode);
            node.namespace.command(&["iptables", "-P", "FORWARD", "DROP"]);
            probe::serve(&node.namespace, 9090, &format!("n{number}"));
            node
        };
        let cluster = Self { nodes: (1..=nodes).map(node).collect(), client, _switch: switch };
        cluster.set_services(&[]);
        probe::serve(&cluster.client, 80, "outside");
        cluster
    }

    /// Every node sees the same services.
    pub(super) fn set_services(&self, services: &[Shown<'_>]) {
        let none = json!({});
        let plain =
            services.iter().map(|(name, ip, node_port, backends)| (*name, *ip, *node_port, *backends, &none));
        self.set_special(&plain.collect::<Vec<_>>());
    }

    /// The same with more words of their specs.
    pub(super) fn set_special(&self, services: &[(&str, &str, u16, &[&str], &Value)]) {
        let mut views = Views::default();
        for number in 1..=self.nodes.len() {
            let range = format!("10.244.{number}.0/24");
            views.nodes.push(node(&format!("n{number}"), &format!("192.168.7.{number}"), &range));
        }
        for (name, ip, node_port, backends, more) in services {
            let port = |protocol: &str| json!({"name": protocol.to_lowercase(), "protocol": protocol, "port": 80, "nodePort": node_port});
            let mut spec = json!({"type": "NodePort", "clusterIP": ip, "ports": [port("TCP"), port("UDP")]});
            more.as_object().unwrap().iter().for_each(|(field, value)| spec[field] = value.clone());
            views.services.push(service(name, spec));
            for (index, backend) in backends.iter().enumerate() {
                let (ip, at) = backend.split_once(':').unwrap();
                let at: u16 = at.parse().unwrap();
                let port = |protocol: &str| json!({"name": protocol.to_lowercase(), "protocol": protocol, "port": at});
                let endpoints: Vec<Value> = vec![json!({"addresses": [ip]})];
                let mut slice = slice(name, json!([port("TCP"), port("UDP")]), json!(endpoints));
                std::sync::Arc::make_mut(&mut slice).metadata.name = format!("{name}-{index}");
                views.slices.push(slice);
            }
        }
        for node in &self.nodes {
            node.set_views(views.clone());
        }
    }

    pub(super) fn pod(&self, node: usize, name: &str) -> Pod {
        let pod = self.nodes[node].add_pod(name);
        probe::serve(&pod.namespace, 8080, name);
        pod
    }

    pub(super) fn host(&self, node: usize) -> &Namespace {
        &self.nodes[node].namespace
    }
}

/// Asks by TCP and UDP without socket programs: every packet is translated on its way.
fn check(from: &Namespace, to: &str, expected: &str) {
    assert_eq!(probe::tcp(from, to).as_deref(), Ok(expected), "TCP to {to}");
    assert_eq!(probe::udp(from, to).as_deref(), Ok(expected), "UDP to {to}");
}

/// Asks and looks only at who answers.
fn check_name(from: &Namespace, to: &str, expected: &str) {
    for (protocol, answer) in [("TCP", probe::tcp(from, to)), ("UDP", probe::udp(from, to))] {
        let answer = answer.unwrap_or_else(|error| panic!("{protocol} to {to}: {error}"));
        assert!(answer.starts_with(&format!("{expected} asked by ")), "{protocol} to {to}: {answer}");
    }
}

fn one_node(mode: Mode) {
    one_node_of(&Cluster::new(1, mode));
}

fn one_node_of(cluster: &Cluster) {
    let (host, client) = (cluster.host(0), &cluster.client);
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(0, "b"));
    let at_b = format!("{}:8080", b.ip);
    cluster.set_services(&[
        ("web", "10.96.1.1", 30_080, &[&at_b]),
        ("empty", "10.96.1.2", 30_082, &[]),
        ("host", "10.96.1.3", 30_083, &["192.168.7.1:9090"]),
        ("outside", "10.96.1.4", 30_084, &[&format!("{CLIENT}:80")]),
    ]);
    // Pod to pod, each way; pod to host, host to pod.
    check(&a.namespace, &at_b, &format!("b asked by {}", a.ip));
    check(&b.namespace, &format!("{}:8080", a.ip), &format!("a asked by {}", b.ip));
    check(&a.namespace, "192.168.7.1:9090", &format!("n1 asked by {}", a.ip));
    check(host, &format!("{}:8080", a.ip), "a asked by 192.168.7.1");
    // Services: a pod's, the asking pod's own, a host process's, one outside the cluster.
    check(&a.namespace, "10.96.1.1:80", &format!("b asked by {}", a.ip));
    check_name(&b.namespace, "10.96.1.1:80", "b");
    check_name(&a.namespace, "10.96.1.3:80", "n1");
    check_name(&b.namespace, "10.96.1.3:80", "n1");
    check(&a.namespace, "10.96.1.4:80", "outside asked by 192.168.7.1");
    // NodePorts: from a pod, from outside, for a host process.
    check_name(&a.namespace, "192.168.7.1:30080", "b");
    check_name(client, "192.168.7.1:30080", "b");
    check_name(client, "192.168.7.1:30083", "n1");
    // Out of the cluster a pod is its node.
    check(&a.namespace, &format!("{CLIENT}:80"), "outside asked by 192.168.7.1");
    // The DNS address is the node's own.
    let seen = probe::tcp(&a.namespace, "10.96.0.10:9090");
    assert_eq!(seen, Ok(format!("n1 asked by {}", a.ip)));
    assert!(probe::tcp(&a.namespace, "10.96.1.2:80").is_err(), "a service without endpoints");
    assert!(probe::tcp(&a.namespace, "10.96.9.9:80").is_err(), "an address without a service");
    cluster.nodes[0].delete_pod(&b);
    assert!(probe::tcp(&a.namespace, &at_b).is_err(), "a pod that is gone");
    cluster.nodes[0].delete_pod(&a);
}

#[test]
fn one_node_ebpf() {
    one_node(Mode::Ebpf);
}

/// As on a kernel before 6.6; the second agent finds the first one's filters.
#[test]
fn one_node_without_tcx() {
    let mut cluster = Cluster::new(1, Mode::Ebpf);
    for _ in 0..2 {
        cluster.nodes[0].stop();
        cluster.nodes[0].clsact = true;
        // What is pinned would still be attached by tcx.
        crate::backend::ebpf::remove_pins(&cluster.nodes[0].bpffs.folder.path().join("bpf/keelson"), false)
            .unwrap();
        cluster.nodes[0].start();
        cluster.set_services(&[]);
        one_node_of(&cluster);
        let filters = cluster.host(0).command(&["tc", "filter", "show", "dev", "eth0", "ingress"]);
        assert_eq!(filters.matches("handle 0x6b650001").count(), 1, "{filters}");
    }
}

#[test]
fn one_node_iptables() {
    one_node(Mode::Iptables);
}

fn two_nodes(mode: Mode) {
    let cluster = Cluster::new(2, mode);
    let client = &cluster.client;
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(1, "b"));
    let at_b = format!("{}:8080", b.ip);
    cluster.set_services(&[
        ("web", "10.96.1.1", 30_080, &[&at_b]),
        ("host", "10.96.1.3", 30_083, &["192.168.7.2:9090"]),
    ]);
    // Through the tunnel under its own address, each way.
    check(&a.namespace, &at_b, &format!("b asked by {}", a.ip));
    check(&b.namespace, &format!("{}:8080", a.ip), &format!("a asked by {}", b.ip));
    check(&a.namespace, "10.96.1.1:80", &format!("b asked by {}", a.ip));
    // Host to a pod elsewhere, pod to a host elsewhere.
    // The node under which the far side sees the near one: in the tunnel of iptables it has another address.
    let near = if mode == Mode::Ebpf { "192.168.7.1" } else { "10.244.1.0" };
    check(cluster.host(0), &at_b, &format!("b asked by {near}"));
    check_name(&a.namespace, "192.168.7.2:9090", "n2");
    check_name(&a.namespace, "10.96.1.3:80", "n2");
    // NodePorts of the node that has the backend and of the one that has not.
    check_name(client, "192.168.7.2:30080", "b");
    check(client, "192.168.7.1:30080", &format!("b asked by {near}"));
    check(client, "192.168.7.1:30083", "n2 asked by 192.168.7.1");
    check_name(&a.namespace, "192.168.7.2:30080", "b");
    // The chain of pods goes on after a backend moves.
    let c = cluster.pod(0, "c");
    cluster.set_services(&[("web", "10.96.1.1", 30_080, &[&format!("{}:8080", c.ip)])]);
    check_name(&a.namespace, "10.96.1.1:80", "c");
    check_name(client, "192.168.7.2:30080", "c");
}

#[test]
fn two_nodes_ebpf() {
    two_nodes(Mode::Ebpf);
}

#[test]
fn two_nodes_iptables() {
    two_nodes(Mode::Iptables);
}

#[test]
fn sockets_are_translated_for_processes_of_the_cgroup() {
    let cluster = Cluster::new(1, Mode::Ebpf);
    let (a, b, c) = (cluster.pod(0, "a"), cluster.pod(0, "b"), cluster.pod(0, "c"));
    let backends = [format!("{}:8080", b.ip), format!("{}:8080", c.ip)];
    let backends: Vec<_> = backends.iter().map(String::as_str).collect();
    cluster.set_services(&[("web", "10.96.1.1", 30_080, &backends), ("empty", "10.96.1.2", 30_082, &[])]);
    let ask = |from: &Namespace, protocol: &str, to: &str| {
        probe::in_cgroup(from, &cluster.nodes[0].cgroup, protocol, to)
    };
    let mut seen: BTreeMap<char, usize> = BTreeMap::new();
    for _ in 0..24 {
        let answer = ask(&a.namespace, "tcp", "10.96.1.1:80");
        assert_eq!(&answer[1..], format!(" asked by {}, peer 10.96.1.1:80", a.ip));
        *seen.entry(answer.chars().next().unwrap()).or_default() += 1;
    }
    assert_eq!(seen.keys().collect::<String>(), "bc", "connections spread over the endpoints: {seen:?}");
    let node = "192.168.7.1:30080";
    for (from, to) in [
        (&a.namespace, "10.96.1.1:80"),
        (&a.namespace, node),
        (cluster.host(0), "10.96.1.1:80"),
        (cluster.host(0), node),
    ] {
        for protocol in ["tcp", "udp", "udp-connected"] {
            let answer = ask(from, protocol, to);
            assert!(
                answer.starts_with("b asked by ") || answer.starts_with("c asked by "),
                "{protocol} {to}: {answer}"
            );
        }
    }
    // An IPv6 socket that speaks IPv4.
    let answer = ask(&a.namespace, "tcp", "[::ffff:10.96.1.1]:80");
    assert_eq!(&answer[1..], format!(" asked by {}, peer [::ffff:10.96.1.1]:80", a.ip));
    for protocol in ["udp", "udp-connected"] {
        let answer = ask(&a.namespace, protocol, "[::ffff:10.96.1.1]:80");
        assert_eq!(&answer[1..], format!(" asked by {}", a.ip), "{protocol}");
    }
    for protocol in ["tcp", "udp", "udp-connected"] {
        assert_eq!(ask(&a.namespace, protocol, "10.96.1.2:80"), "ConnectionRefused", "{protocol}");
    }
    let counts = cluster.nodes[0].status();
    assert!(
        counts.hooks["connect4"] >= 24 && counts.hooks["sendmsg4"] > 0 && counts.hooks["recvmsg4"] > 0,
        "{counts:?}"
    );
}

#[test]
fn it_is_ebpf_alone() {
    let cluster = Cluster::new(2, Mode::Ebpf);
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(1, "b"));
    cluster.set_services(&[("web", "10.96.1.1", 30_080, &[&format!("{}:8080", b.ip)])]);
    check(&a.namespace, "10.96.1.1:80", &format!("b asked by {}", a.ip));
    for number in 0..2 {
        let host = cluster.host(number);
        let rules = host.command(&["iptables-save"]);
        assert!(!rules.contains("-A "), "no rule at all: {rules}");
        assert_eq!(host.command(&["conntrack", "-L"]), "", "the kernel tracks nothing");
        assert_eq!(host.command(&["ip", "-br", "link", "show", "type", "bridge"]), "");
    }
    let before = cluster.nodes[0].status();
    assert_eq!(before.drops.values().sum::<u64>(), 0, "{:?}", before.drops);
    // One datagram and its answer: each passes each hook exactly once.
    check_udp_alone(&a.namespace, "10.96.1.1:80");
    let after = cluster.nodes[0].status();
    let passed = |hook: &str| after.hooks[hook] - before.hooks[hook];
    assert_eq!((passed("from_pod"), passed("to_vxlan"), passed("from_vxlan")), (1, 1, 1));
}

fn check_udp_alone(from: &Namespace, to: &str) {
    assert!(probe::udp(from, to).is_ok());
}

#[test]
fn pods_and_flows_outlive_the_agent() {
    let mut cluster = Cluster::new(1, Mode::Ebpf);
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(0, "b"));
    let at_b = format!("{}:8080", b.ip);
    let echo_at_b = format!("{}:7070", b.ip);
    let services: &[Shown<'_>] =
        &[("web", "10.96.1.1", 30_080, &[&at_b]), ("echo", "10.96.1.2", 30_081, &[&echo_at_b])];
    cluster.set_services(services);
    let mut held = probe::Held::open(&a.namespace, &b.namespace, "10.96.1.2:80", 7070);
    held.say("before");
    cluster.nodes[0].stop();
    held.say("without an agent");
    // A new connection is made while nobody is there.
    check(&a.namespace, "10.96.1.1:80", &format!("b asked by {}", a.ip));
    cluster.nodes[0].start();
    held.say("before the views are back");
    cluster.set_services(services);
    held.say("after");
    assert_eq!(cluster.nodes[0].status().pods, 2);
    let c = cluster.pod(0, "c");
    assert!(![&a.ip, &b.ip].contains(&&c.ip), "addresses in use are known");
    check(&c.namespace, "10.96.1.1:80", &format!("b asked by {}", c.ip));
}

#[test]
fn what_add_gives_del_takes() {
    let cluster = Cluster::new(1, Mode::Ebpf);
    let links = || cluster.host(0).command(&["ip", "-br", "link"]);
    let pins = || {
        let folder = cluster.nodes[0]
            .bpffs
            .folder
            .path()
            .join(format!("bpf/keelson/v{}/links", keelson_ebpf_abi::LAYOUT));
        std::fs::read_dir(folder).unwrap().count()
    };
    let before = (links(), pins());
    for _ in 0..3 {
        let pod = cluster.pod(0, "a");
        assert_ne!((links(), pins()), before);
        cluster.nodes[0].delete_pod(&pod);
        cluster.nodes[0].delete_pod(&pod);
        assert_eq!((links(), pins()), before);
    }
    let status = cluster.nodes[0].status();
    assert_eq!((status.pods, status.backend), (0, "ebpf"));
}

#[test]
fn a_pod_cannot_speak_for_another() {
    let cluster = Cluster::new(1, Mode::Ebpf);
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(0, "b"));
    a.namespace.ip(&format!("addr add {}/32 dev eth0", "10.244.1.200"));
    a.namespace.ip("route replace default via 169.254.1.1 dev eth0 src 10.244.1.200");
    assert!(probe::tcp(&a.namespace, &format!("{}:8080", b.ip)).is_err());
    assert!(cluster.nodes[0].status().drops["spoofed"] > 0);
}

#[test]
fn a_running_node_changes_its_backend() {
    let mut cluster = Cluster::new(1, Mode::Iptables);
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(0, "b"));
    let at_b = format!("{}:8080", b.ip);
    let services: &[Shown<'_>] = &[("web", "10.96.1.1", 30_080, &[&at_b])];
    for mode in [Mode::Iptables, Mode::Ebpf, Mode::Iptables, Mode::Ebpf] {
        cluster.nodes[0].stop();
        cluster.nodes[0].mode = mode;
        cluster.nodes[0].start();
        cluster.set_services(services);
        check(&a.namespace, "10.96.1.1:80", &format!("b asked by {}", a.ip));
        check(&a.namespace, &format!("{CLIENT}:80"), "outside asked by 192.168.7.1");
        check_name(&cluster.client, "192.168.7.1:30080", "b");
        let rules = cluster.host(0).command(&["iptables-save"]);
        assert_eq!(rules.contains("KEELSON"), mode == Mode::Iptables, "{rules}");
        assert_eq!(cluster.nodes[0].status().pods, 2);
    }
}

#[test]
fn networks_that_nobody_wants_are_collected() {
    let cluster = Cluster::new(1, Mode::Ebpf);
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(0, "b"));
    let wanted = a.key.clone();
    let collect = move |engine: &mut crate::engine::Engine, runtime: &tokio::runtime::Runtime| {
        runtime.block_on(engine.collect(|key| *key == wanted))
    };
    assert_eq!(cluster.nodes[0].with(collect), 1);
    assert_eq!(cluster.nodes[0].status().pods, 1);
    assert!(probe::tcp(&a.namespace, &format!("{}:8080", b.ip)).is_err());
    check_name(cluster.host(0), &format!("{}:8080", a.ip), "a");
}

/// Prints how long ADD takes; it holds no number, machines differ.
#[test]
fn what_add_takes() {
    let cluster = Cluster::new(1, Mode::Ebpf);
    let sandbox = |namespace: &Namespace| crate::cni::Sandbox {
        key: crate::attachment::Key { container_id: namespace.name.clone(), ifname: "eth0".to_owned() },
        netns: namespace.path(),
        pod_namespace: String::new(),
        pod_name: String::new(),
        pod_uid: String::new(),
    };
    let namespaces: Vec<_> = (0..40).map(|_| Namespace::new("pod")).collect();
    let sandboxes: Vec<_> = namespaces.iter().map(sandbox).collect();
    cluster.nodes[0].with(move |engine, runtime| {
        let mut time =
            |name: &str, work: &mut dyn FnMut(&mut crate::engine::Engine, &crate::cni::Sandbox)| {
                let mut times: Vec<_> = Vec::new();
                for sandbox in &sandboxes {
                    let begun = std::time::Instant::now();
                    work(engine, sandbox);
                    times.push(begun.elapsed());
                }
                times.sort();
                println!("{name}: median {:?}, worst {:?}", times[times.len() / 2], times[times.len() - 1]);
            };
        time("ADD", &mut |engine, sandbox| drop(runtime.block_on(engine.add(sandbox)).unwrap()));
        time("DEL", &mut |engine, sandbox| runtime.block_on(engine.delete(&sandbox.key)).unwrap());
    });
    assert_eq!(cluster.nodes[0].status().pods, 0);
}

fn bulk(mode: Mode) {
    let cluster = Cluster::new(2, mode);
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(1, "b"));
    let c = cluster.pod(0, "c");
    for namespace in [&b.namespace, &c.namespace, &cluster.client] {
        probe::serve_bulk(namespace, 6060);
    }
    let (at_b, at_c) = (format!("{}:6060", b.ip), format!("{}:6060", c.ip));
    cluster.set_services(&[("near", "10.96.1.1", 30_080, &[&at_c]), ("far", "10.96.1.2", 30_081, &[&at_b])]);
    for to in ["10.96.1.1:80", "10.96.1.2:80", &at_b, &at_c, &format!("{CLIENT}:6060")] {
        assert!(probe::bulk(&a.namespace, to), "a pod to {to}");
    }
    for to in ["192.168.7.1:30080", "192.168.7.1:30081"] {
        assert!(probe::bulk(&cluster.client, to), "from outside to {to}");
    }
    for to in [&at_b, &at_c] {
        assert!(probe::bulk(cluster.host(0), to), "a host to {to}");
    }
}

/// Segments that hardware or the kernel would cut arrive whole on every path.
#[test]
fn bulk_data_ebpf() {
    bulk(Mode::Ebpf);
}

#[test]
fn bulk_data_iptables() {
    bulk(Mode::Iptables);
}

/// A client that keeps its socket must not be sent to a pod that is gone.
#[test]
fn datagrams_leave_a_backend_that_is_gone() {
    let cluster = Cluster::new(1, Mode::Ebpf);
    let (a, b, c) = (cluster.pod(0, "a"), cluster.pod(0, "b"), cluster.pod(0, "c"));
    let socket = probe::Datagrams::open(&a.namespace, "10.96.1.1:80");
    for pod in [&b, &c, &b] {
        cluster.set_services(&[("web", "10.96.1.1", 30_080, &[&format!("{}:8080", pod.ip)])]);
        let name = if pod.ip == b.ip { "b" } else { "c" };
        assert_eq!(socket.ask(), Ok(format!("{name} asked by {}", a.ip)));
    }
}

/// Whoever reaches the tunnel's port is not thereby a node.
#[test]
fn the_tunnel_takes_packets_from_nodes_only() {
    let cluster = Cluster::new(2, Mode::Ebpf);
    let b = cluster.pod(0, "b");
    let inner = crate::model::rows::Frame::parse(&format!("udp 10.244.2.9:1 > {}:8080", b.ip), None).bytes();
    // RFC 7348: the flag that a network identifier follows, and the identifier 1.
    let packet = [&[0x08, 0, 0, 0, 0, 0, 1, 0][..], &inner].concat();
    probe::send(&cluster.client, "192.168.7.1:8472", packet);
    let drops = cluster.nodes[0].status().drops;
    assert_eq!(drops["tunnel"], 1, "{drops:?}");
}
