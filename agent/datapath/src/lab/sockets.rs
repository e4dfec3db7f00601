//! What the socket programs owe besides a backend: who asks decides.

use super::scenarios::Cluster;
use super::{Namespace, probe};
use crate::engine::Mode;
use crate::tables::tests::view;
use serde_json::json;
use std::collections::BTreeSet;

fn ask(cluster: &Cluster, from: &Namespace, protocol: &str, to: &str) -> String {
    probe::in_cgroup(from, &cluster.nodes[0].cgroup, protocol, to)
}

#[test]
fn sockets_of_one_namespace_keep_their_backend() {
    let cluster = Cluster::new(1, Mode::Ebpf);
    let pods = ["a", "b", "c"].map(|name| cluster.pod(0, name));
    let backends = pods.each_ref().map(|pod| format!("{}:8080", pod.ip));
    let all: Vec<&str> = backends.iter().map(String::as_str).collect();
    let sticky = json!({"sessionAffinity": "ClientIP"});
    cluster.set_special(&[("web", "10.96.1.1", 30_080, &all, &sticky)]);
    let name = |from: &Namespace, protocol: &str| {
        let said = ask(&cluster, from, protocol, "10.96.1.1:80");
        said.split(" asked by ").next().unwrap().to_owned()
    };
    let clients = [&pods[0].namespace, &pods[1].namespace, &pods[2].namespace, cluster.host(0)];
    for client in clients {
        for protocol in ["tcp", "udp", "udp-connected"] {
            let answers: BTreeSet<_> = (0..8).map(|_| name(client, protocol)).collect();
            assert_eq!(answers.len(), 1, "{protocol} from {}: {answers:?}", client.name);
        }
    }
    // Whoever has one that leaves gets another; whoever has one that stays keeps it.
    let before = name(clients[0], "tcp");
    let index = ["a", "b", "c"].iter().position(|name| *name == before).unwrap();
    let others: Vec<&str> = all.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, b)| *b).collect();
    cluster.set_special(&[("web", "10.96.1.1", 30_080, &others, &sticky)]);
    let after = name(clients[0], "tcp");
    assert_ne!(after, before);
    cluster.set_special(&[("web", "10.96.1.1", 30_080, &all, &sticky)]);
    for _ in 0..8 {
        assert_eq!(name(clients[0], "tcp"), after, "it has found another and stays there");
    }
}

/// A pod that listens on its own loopback must not find another pod's port of the node there.
#[test]
fn the_loopback_of_a_pod_is_its_own() {
    let cluster = Cluster::new(1, Mode::Ebpf);
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(0, "b"));
    let port = json!({"containerPort": 8080, "hostPort": 8081, "protocol": "TCP"});
    let pod = view(json!({
        "metadata": {"namespace": "default", "name": "a", "uid": "a"}, "spec": {"containers": [{"ports": [port]}]},
    }));
    cluster.nodes[0].with(move |engine, runtime| runtime.block_on(engine.set_pods(vec![pod])).unwrap());
    let loopback = "127.0.0.1:8081";
    assert!(ask(&cluster, cluster.host(0), "tcp", loopback).starts_with("a asked by "));
    assert_eq!(ask(&cluster, &b.namespace, "tcp", loopback), "ConnectionRefused");
    probe::serve(&b.namespace, 8081, "own");
    assert!(ask(&cluster, &b.namespace, "tcp", loopback).starts_with("own asked by 127.0.0.1"));
    assert!(ask(&cluster, &a.namespace, "tcp", "192.168.7.1:8081").starts_with("a asked by "));
}
