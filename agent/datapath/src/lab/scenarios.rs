//! Whole nodes on the real kernel: what an application sees.

use super::namespace::switch;
use super::node::Pod;
use super::{LabNode, Namespace, probe, wire};
use crate::engine::Mode;
use crate::tables::Views;
use crate::tables::tests::{node, service, slice};
use serde_json::{Value, json};
use std::sync::Arc;

const CLIENT: &str = "192.168.7.100";

struct Cluster {
    client: Namespace,
    nodes: Vec<LabNode>,
    _switch: Namespace,
}

impl Cluster {
    fn new(nodes: u8, mode: Mode) -> Self {
        let switch = switch();
        let client = Namespace::new("client");
        wire(&switch, &client, CLIENT);
        let node = |number: u8| {
            let node =
                LabNode::new(&switch, &format!("n{number}"), &format!("192.168.7.{number}"), CLIENT, mode);
            node.namespace.command(&["iptables", "-P", "FORWARD", "DROP"]);
            node
        };
        let cluster = Self { nodes: (1..=nodes).map(node).collect(), client, _switch: switch };
        cluster.set_services(&[]);
        probe::serve(&cluster.client, 80, "outside");
        cluster
    }

    /// Every node sees the same services: name, address, node port, backends.
    fn set_services(&self, services: &[(&str, &str, u16, &[&str])]) {
        let mut views = Views::default();
        for number in 1..=self.nodes.len() {
            let range = format!("10.244.{number}.0/24");
            views.nodes.push(node(&format!("n{number}"), &format!("192.168.7.{number}"), &range));
        }
        for (name, ip, node_port, backends) in services {
            let port = |protocol: &str| {
                json!({"name": protocol.to_lowercase(), "protocol": protocol, "port": 80, "targetPort": 8080,
                       "nodePort": node_port})
            };
            let spec = json!({"type": "NodePort", "clusterIP": ip, "ports": [port("TCP"), port("UDP")]});
            views.services.push(service(name, spec));
            let endpoints: Vec<Value> = backends.iter().map(|ip| json!({"addresses": [ip]})).collect();
            let ports = json!([{"name": "tcp", "protocol": "TCP", "port": 8080}, {"name": "udp", "protocol": "UDP", "port": 8080}]);
            let mut slice = (*slice(name, ports, json!(endpoints))).clone();
            slice.metadata.name = format!("{name}-1");
            views.slices.push(Arc::new(slice));
        }
        for node in &self.nodes {
            node.set_views(views.clone());
        }
    }

    fn pod(&self, node: usize, name: &str) -> Pod {
        let pod = self.nodes[node].add_pod(name);
        probe::serve(&pod.namespace, 8080, name);
        pod
    }
}

/// Asks by TCP and UDP without socket programs.
fn check(from: &Namespace, to: &str, expected: &str) {
    assert_eq!(probe::tcp(from, to).as_deref(), Ok(expected), "TCP to {to}");
    assert_eq!(probe::udp(from, to).as_deref(), Ok(expected), "UDP to {to}");
}

fn one_node(mode: Mode) {
    let cluster = Cluster::new(1, mode);
    let host = &cluster.nodes[0].namespace;
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(0, "b"));
    probe::serve(host, 9090, "host");
    cluster.set_services(&[("web", "10.96.1.1", 30_080, &[&b.ip]), ("empty", "10.96.1.2", 30_082, &[])]);
    // Pod to pod, each way; pod to host, host to pod.
    check(&a.namespace, &format!("{}:8080", b.ip), &format!("b asked by {}", a.ip));
    check(&b.namespace, &format!("{}:8080", a.ip), &format!("a asked by {}", b.ip));
    check(&a.namespace, "192.168.7.1:9090", &format!("host asked by {}", a.ip));
    check(host, &format!("{}:8080", a.ip), "a asked by 192.168.7.1");
    // The service, packet by packet; from the backend itself it must seem to be another.
    check(&a.namespace, "10.96.1.1:80", &format!("b asked by {}", a.ip));
    let own = probe::tcp(&b.namespace, "10.96.1.1:80").unwrap();
    assert!(own.starts_with("b asked by "), "{own}");
    // NodePorts: from a pod, from outside.
    let seen = probe::tcp(&a.namespace, "192.168.7.1:30080").unwrap();
    assert!(seen.starts_with("b asked by "), "{seen}");
    let seen = probe::tcp(&cluster.client, "192.168.7.1:30080").unwrap();
    assert!(seen.starts_with("b asked by "), "{seen}");
    // Out of the cluster a pod is its node.
    check(&a.namespace, &format!("{CLIENT}:80"), "outside asked by 192.168.7.1");
    // The DNS address is the node's own.
    let seen = probe::tcp(&a.namespace, "10.96.0.10:9090");
    assert_eq!(seen, Ok(format!("host asked by {}", a.ip)));
    assert!(probe::tcp(&a.namespace, "10.96.1.2:80").is_err());
    cluster.nodes[0].delete_pod(&b);
    assert!(probe::tcp(&a.namespace, &format!("{}:8080", b.ip)).is_err());
}

#[test]
fn one_node_ebpf() {
    one_node(Mode::Ebpf);
}

#[test]
fn one_node_iptables() {
    one_node(Mode::Iptables);
}
