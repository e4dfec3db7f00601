//! What clients see of Services' policies on the real kernel: two nodes, pods on both, a client outside.

use crate::engine::Mode;
use crate::lab::{LabNode, Namespace, Pod, probe, switch, wire};
use crate::tables::Views;
use crate::tables::tests::{node, service, slice, view};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const CLIENT: &str = "192.168.7.100";
const EXTERNAL: &str = "198.51.100.9";

/// Node n1 (192.168.7.1) has the pods a and b, node n2 (192.168.7.2) has c; each says its name on port 8080.
struct Stage {
    nodes: Vec<LabNode>,
    pods: Vec<Pod>,
    client: Namespace,
    _switch: Namespace,
}

impl Stage {
    fn new(mode: Mode) -> Self {
        let switch = switch();
        let client = Namespace::new("client");
        wire(&switch, &client, CLIENT);
        client.ip(&format!("route add {EXTERNAL} via 192.168.7.1"));
        let node = |number: u8| {
            LabNode::new(&switch, &format!("n{number}"), &format!("192.168.7.{number}"), CLIENT, mode)
        };
        let mut stage = Self { nodes: vec![node(1), node(2)], pods: Vec::new(), client, _switch: switch };
        stage.set(&[]);
        stage.pods = [(0, "a"), (0, "b"), (1, "c")].map(|(on, name)| stage.pod(on, name)).into();
        stage
    }

    fn pod(&self, on: usize, name: &str) -> Pod {
        let pod = self.nodes[on].add_pod(name);
        probe::serve(&pod.namespace, 8080, name);
        pod
    }

    /// Services: name, what their spec says beside the ports, their pods by index.
    fn set(&self, services: &[(&str, Value, &[usize])]) {
        let mut views = Views::default();
        for number in 1..=2 {
            let range = format!("10.244.{number}.0/24");
            views.nodes.push(node(&format!("n{number}"), &format!("192.168.7.{number}"), &range));
        }
        for (name, spec, pods) in services {
            let both = |port: u16, node_port: Option<u64>| {
                let one = |protocol: &str| json!({"name": protocol.to_lowercase(), "protocol": protocol, "port": port, "nodePort": node_port.unwrap_or(0)});
                json!([one("TCP"), one("UDP")])
            };
            let mut whole = json!({"type": "NodePort", "ports": both(80, spec["nodePort"].as_u64())});
            spec.as_object().unwrap().iter().for_each(|(field, value)| whole[field] = value.clone());
            views.services.push(service(name, whole));
            let endpoint = |index: &usize| {
                let node = if *index < 2 { "n1" } else { "n2" };
                json!({"addresses": [self.pods[*index].ip], "nodeName": node})
            };
            let endpoints: Vec<Value> = pods.iter().map(endpoint).collect();
            views.slices.push(slice(name, both(8080, None), json!(endpoints)));
        }
        self.nodes.iter().for_each(|node| node.set_views(views.clone()));
    }

    fn inside(&self, pod: usize) -> &Namespace {
        &self.pods[pod].namespace
    }

    /// Who answers a process of a node, or why nobody does. Its sockets are served where the backend serves sockets.
    fn answers_node(&self, node: usize, protocol: &str, to: &str) -> String {
        let node = &self.nodes[node];
        let said = probe::in_cgroup(&node.namespace, &node.cgroup, protocol, to);
        said.split(" asked by ").next().unwrap_or_default().to_owned()
    }
}

/// What TCP and UDP say; both must say the same.
fn ask(from: &Namespace, to: &str) -> Result<String, String> {
    let (tcp, udp) = (probe::tcp(from, to), probe::udp(from, to));
    assert_eq!(tcp.is_ok(), udp.is_ok(), "{to}: TCP {tcp:?}, UDP {udp:?}");
    tcp.and_then(|tcp| udp.map(|udp| if tcp == udp { tcp } else { format!("{tcp} / {udp}") }))
}

fn who(from: &Namespace, to: &str) -> String {
    probe::tcp(from, to).unwrap_or_else(|error| panic!("{to}: {error}"))[..1].to_owned()
}

fn local_policies(mode: Mode) {
    let stage = Stage::new(mode);
    let external = json!({"clusterIP": "10.96.1.1", "nodePort": 30_080, "externalTrafficPolicy": "Local"});
    let internal = json!({"clusterIP": "10.96.1.2", "nodePort": 30_081, "internalTrafficPolicy": "Local"});
    stage.set(&[("external", external, &[1]), ("internal", internal, &[1])]);
    let (client, here, there) = (&stage.client, stage.inside(0), stage.inside(2));
    // The node that has the endpoint keeps the client's address; the one that has none lets its packets fall.
    assert_eq!(ask(client, "192.168.7.1:30080"), Ok(format!("b asked by {CLIENT}")));
    assert_eq!(probe::tcp(client, "192.168.7.2:30080"), Err("TimedOut".to_owned()));
    // Whoever is in the cluster gets every endpoint at the external address.
    for (from, to) in [(here, "192.168.7.1:30080"), (there, "192.168.7.2:30080")] {
        assert_eq!(who(from, to), "b", "{to}");
    }
    assert_eq!(stage.answers_node(1, "tcp", "192.168.7.2:30080"), "b");
    assert_eq!(who(here, "10.96.1.2:80"), "b");
    assert!(probe::tcp(there, "10.96.1.2:80").is_err(), "no endpoint on the client's node");
    assert_eq!(who(client, "192.168.7.2:30081"), "b", "the internal policy is not for those outside");
}

fn external_addresses(mode: Mode) {
    let stage = Stage::new(mode);
    let spec = json!({"clusterIP": "10.96.1.1", "externalIPs": [EXTERNAL]});
    stage.set(&[("web", spec, &[1])]);
    let external = format!("{EXTERNAL}:80");
    for from in [&stage.client, stage.inside(0), stage.inside(2)] {
        assert_eq!(who(from, &external), "b", "{}", from.name);
        assert!(probe::udp(from, &external).is_ok());
    }
    for protocol in ["tcp", "udp"] {
        assert_eq!(stage.answers_node(0, protocol, &external), "b", "{protocol}");
    }
    // Far pods answer through this node.
    stage.set(&[("web", json!({"clusterIP": "10.96.1.1", "externalIPs": [EXTERNAL]}), &[2])]);
    assert_eq!(who(&stage.client, &format!("{EXTERNAL}:80")), "c");
    stage.set(&[("web", json!({"clusterIP": "10.96.1.1"}), &[1])]);
    assert!(probe::tcp(&stage.client, &format!("{EXTERNAL}:80")).is_err());
}

fn affinity(mode: Mode) {
    let stage = Stage::new(mode);
    let sticky = |seconds: u32| {
        json!({"clusterIP": "10.96.1.1", "nodePort": 30_080, "sessionAffinity": "ClientIP",
               "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}}})
    };
    stage.set(&[("web", sticky(600), &[0, 1, 2])]);
    let mut first = BTreeSet::new();
    for (from, to) in [
        (stage.inside(0), "10.96.1.1:80"),
        (stage.inside(2), "10.96.1.1:80"),
        (&stage.client, "192.168.7.1:30080"),
    ] {
        let asked: BTreeSet<String> = (0..12).map(|_| who(from, to)).collect();
        assert_eq!(asked.len(), 1, "{to}: one client, one endpoint: {asked:?}");
        first.extend(asked);
    }
    // An endpoint that is gone keeps nobody.
    let left: Vec<usize> = (0..3).filter(|pod| !first.contains(["a", "b", "c"][*pod])).chain([2]).collect();
    stage.set(&[("web", sticky(600), &left[..1])]);
    let name = ["a", "b", "c"][left[0]];
    assert_eq!(who(&stage.client, "192.168.7.1:30080"), name);
    // After its time a client may come to another.
    stage.set(&[("web", sticky(1), &[0, 1, 2])]);
    let seen = (0..20).scan(BTreeSet::new(), |seen, _| {
        std::thread::sleep(Duration::from_millis(2_100));
        seen.insert(who(&stage.client, "192.168.7.1:30080"));
        Some(seen.len())
    });
    assert!(seen.into_iter().any(|count| count > 1), "the time is over and the client stays");
}

fn without_endpoints(mode: Mode) {
    let stage = Stage::new(mode);
    let spec = json!({"clusterIP": "10.96.1.1", "nodePort": 30_080, "externalIPs": [EXTERNAL]});
    stage.set(&[("empty", spec, &[])]);
    let external = format!("{EXTERNAL}:80");
    for (from, to) in [
        (&stage.client, "192.168.7.1:30080"),
        (&stage.client, external.as_str()),
        (stage.inside(0), "10.96.1.1:80"),
    ] {
        assert_eq!(probe::tcp(from, to), Err("ConnectionRefused".to_owned()), "{to}");
        // A socket that is not connected is told of no refusal.
        assert!(probe::udp(from, to).is_err(), "{to}");
    }
    assert_eq!(stage.answers_node(0, "tcp", "10.96.1.1:80"), "ConnectionRefused");
}

fn host_ports(mode: Mode) {
    let stage = Stage::new(mode);
    let asks = |name: &str, ports: Value| {
        view(json!({
            "metadata": {"namespace": "default", "name": name, "uid": name},
            "spec": {"containers": [{"ports": ports}]},
        }))
    };
    let port = |protocol: &str, ip: &str, host_port: u16| json!({"containerPort": 8080, "hostPort": host_port, "hostIP": ip, "protocol": protocol});
    let of_a = asks("a", json!([port("TCP", "", 8081), port("UDP", "", 8081)]));
    let of_b = asks("b", json!([port("TCP", "127.0.0.1", 8082), port("UDP", "192.168.7.1", 8081)]));
    stage.nodes[0].with(move |engine, runtime| {
        runtime.block_on(engine.set_pods(vec![of_a, of_b])).unwrap();
    });
    assert_eq!(probe::tcp(&stage.client, "192.168.7.1:8081"), Ok(format!("a asked by {CLIENT}")));
    for (protocol, to, name) in [
        ("tcp", "127.0.0.1:8081", "a"),
        ("tcp", "192.168.7.1:8081", "a"),
        ("tcp", "127.0.0.1:8082", "b"),
        ("udp", "127.0.0.1:8081", "a"),
    ] {
        assert_eq!(stage.answers_node(0, protocol, to), name, "{protocol} {to}");
    }
    // Pods, on this node and on the other.
    assert_eq!(who(stage.inside(1), "192.168.7.1:8081"), "a");
    assert_eq!(who(stage.inside(2), "192.168.7.1:8081"), "a");
    // A pod's loopback is its own, and a host port of the loopback is closed to others.
    assert!(probe::tcp(stage.inside(1), "127.0.0.1:8081").is_err());
    assert!(probe::tcp(&stage.client, "192.168.7.1:8082").is_err());
    stage.nodes[0].delete_pod(&stage.pods[0]);
    assert!(probe::tcp(&stage.client, "192.168.7.1:8081").is_err(), "released with its pod");
    assert_eq!(stage.answers_node(0, "tcp", "127.0.0.1:8081"), "ConnectionRefused");
}

macro_rules! on {
    ($mode:expr => $($name:ident: $scenario:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            $scenario($mode);
        })*
    };
}

on!(Mode::Iptables =>
    local_policies_iptables: local_policies,
    external_addresses_iptables: external_addresses,
    affinity_iptables: affinity,
    without_endpoints_iptables: without_endpoints,
    host_ports_iptables: host_ports,
);

on!(Mode::Ebpf =>
    local_policies_ebpf: local_policies,
    external_addresses_ebpf: external_addresses,
    affinity_ebpf: affinity,
    without_endpoints_ebpf: without_endpoints,
    host_ports_ebpf: host_ports,
);
