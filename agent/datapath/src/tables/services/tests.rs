//! What answers where, as kube-proxy has it: one table of cases per rule. Node `one` (192.168.7.1) is in zone `z1`.

use super::*;
use crate::tables::tests::{address, facts, service, slice, view};
use crate::tables::{LocalPod, Problem, Tables, Views};
use keelson_client::views::{EndpointSlice, Node, Service};
use keelson_ebpf_abi::{Be16, Service as Entry, ServiceKey};
use serde_json::{Value, json};
use std::sync::Arc;

/// Every entry as `scope address:port/protocol -> backends` with what else it says.
fn shown(tables: &Tables) -> Vec<String> {
    let show = |(key, port): (&ServiceKey, &Arc<ServicePort>)| {
        let scope = if key.scope == ServiceKey::INSIDE { "in" } else { "out" };
        let mut text = format!("{scope} {}:{}/{} ->", key.address, key.port.get(), key.protocol);
        port.backends.iter().for_each(|b| text += &format!(" {}:{}", b.address, b.port.get()));
        if port.is_local() {
            text += " local";
        }
        if port.flags & Entry::AFFINITY != 0 {
            text += &format!(" affinity {} s", port.affinity_seconds);
        }
        if port.is_elsewhere() {
            text += " elsewhere";
        }
        text
    };
    tables.services.iter().map(show).collect()
}

fn build(services: Vec<Arc<Service>>, slices: Vec<Arc<EndpointSlice>>) -> (Tables, Vec<Problem>) {
    let own: Arc<Node> = view(json!({
        "metadata": {"name": "one", "labels": {"topology.kubernetes.io/zone": "z1"}},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.168.7.1"}]},
    }));
    Tables::build(
        &facts(),
        &Views { services, slices, nodes: vec![own], ..Views::default() },
        &Default::default(),
    )
}

fn check(services: Vec<Arc<Service>>, slices: Vec<Arc<EndpointSlice>>, expected: &[&str]) {
    let (tables, problems) = build(services, slices);
    assert_eq!(problems, []);
    assert_eq!(shown(&tables), expected);
}

/// A Service `web` on 10.96.1.1:80, changed as `spec` says.
fn web(spec: Value) -> Arc<Service> {
    let mut all = json!({
        "type": "ClusterIP", "clusterIP": "10.96.1.1", "ports": [{"protocol": "TCP", "port": 80}],
    });
    for (name, value) in spec.as_object().unwrap() {
        all[name] = value.clone();
    }
    service("web", all)
}

/// An endpoint: host, node, and one letter each for ready, serving and terminating.
fn endpoint(last: u8, node: &str, state: &str) -> Value {
    let conditions = match state {
        "ready" => json!({"ready": true, "serving": true, "terminating": false}),
        "leaving" => json!({"ready": false, "serving": true, "terminating": true}),
        "gone" => json!({"ready": false, "serving": false, "terminating": true}),
        "starting" => json!({"ready": false, "serving": false, "terminating": false}),
        other => panic!("{other}"),
    };
    json!({"addresses": [format!("10.244.1.{last}")], "nodeName": node, "conditions": conditions})
}

fn at(endpoints: Value) -> Vec<Arc<EndpointSlice>> {
    vec![slice("web", json!([{"name": "", "protocol": "TCP", "port": 80}]), endpoints)]
}

#[test]
fn a_service_has_a_key_per_address_and_port() {
    check(
        vec![service(
            "web",
            json!({"type": "NodePort", "clusterIP": "10.96.1.1", "clusterIPs": ["10.96.1.1"], "ports": [
                {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30080},
                {"name": "dns", "protocol": "UDP", "port": 80, "targetPort": 53}]}),
        )],
        vec![slice(
            "web",
            json!([{"name": "http", "protocol": "TCP", "port": 8080}, {"name": "dns", "protocol": "UDP", "port": 53}]),
            json!([{"addresses": ["10.244.2.5"], "conditions": {"ready": true}},
                   {"addresses": ["10.244.1.9"], "conditions": {}},
                   {"addresses": ["10.244.1.7"], "conditions": {"ready": false}}]),
        )],
        &[
            "in :::30080/6 -> 10.244.1.9:8080 10.244.2.5:8080",
            "out :::30080/6 -> 10.244.1.9:8080 10.244.2.5:8080",
            "in 10.96.1.1:80/6 -> 10.244.1.9:8080 10.244.2.5:8080",
            "in 10.96.1.1:80/17 -> 10.244.1.9:53 10.244.2.5:53",
        ],
    );
}

#[test]
fn external_addresses_are_open_to_both_sides() {
    let ingress = json!({"loadBalancer": {"ingress": [
        {"ip": "198.51.100.1"}, {"ip": "198.51.100.2", "ipMode": "VIP"}, {"ip": "198.51.100.3", "ipMode": "Proxy"},
        {"hostname": "lb.example.com"}]}});
    let with_status = |kind: &str, more: Value| {
        let mut balanced = (*web(json!({"type": kind}))).clone();
        balanced.status = serde_json::from_value(ingress.clone()).unwrap();
        balanced.spec.load_balancer_source_ranges = serde_json::from_value(more).unwrap();
        Arc::new(balanced)
    };
    let one = || at(json!([endpoint(5, "one", "ready")]));
    check(
        vec![web(json!({"externalIPs": ["198.51.100.9"]}))],
        one(),
        &[
            "in 10.96.1.1:80/6 -> 10.244.1.5:80",
            "in 198.51.100.9:80/6 -> 10.244.1.5:80",
            "out 198.51.100.9:80/6 -> 10.244.1.5:80",
        ],
    );
    let balanced = [
        "in 10.96.1.1:80/6 -> 10.244.1.5:80",
        "in 198.51.100.1:80/6 -> 10.244.1.5:80",
        "out 198.51.100.1:80/6 -> 10.244.1.5:80",
        "in 198.51.100.2:80/6 -> 10.244.1.5:80",
        "out 198.51.100.2:80/6 -> 10.244.1.5:80",
    ];
    check(vec![with_status("LoadBalancer", json!([]))], one(), &balanced);
    check(vec![with_status("LoadBalancer", json!(["10.0.0.0/8", "0.0.0.0/0"]))], one(), &balanced);
    // A status that an earlier type has left.
    check(vec![with_status("ClusterIP", json!([]))], one(), &["in 10.96.1.1:80/6 -> 10.244.1.5:80"]);
    // What cannot be enforced stays closed.
    let (tables, problems) = build(vec![with_status("LoadBalancer", json!(["203.0.113.0/24"]))], one());
    assert_eq!(
        shown(&tables),
        balanced.into_iter().filter(|line| line.starts_with("in")).collect::<Vec<_>>()
    );
    assert!(problems[0].message.contains("spec.loadBalancerSourceRanges"), "{problems:?}");
}

#[test]
fn traffic_policies_keep_traffic_on_the_node() {
    let node_port = json!([{"protocol": "TCP", "port": 80, "nodePort": 30080}]);
    let external = || {
        web(
            json!({"type": "NodePort", "externalTrafficPolicy": "Local", "ports": node_port, "externalIPs": ["198.51.100.9"]}),
        )
    };
    let internal = || web(json!({"internalTrafficPolicy": "Local"}));
    let both = || at(json!([endpoint(5, "one", "ready"), endpoint(6, "two", "ready")]));
    check(
        vec![external()],
        both(),
        &[
            "in :::30080/6 -> 10.244.1.5:80 10.244.1.6:80",
            "out :::30080/6 -> 10.244.1.5:80 local",
            "in 10.96.1.1:80/6 -> 10.244.1.5:80 10.244.1.6:80",
            "in 198.51.100.9:80/6 -> 10.244.1.5:80 10.244.1.6:80",
            "out 198.51.100.9:80/6 -> 10.244.1.5:80 local",
        ],
    );
    check(vec![internal()], both(), &["in 10.96.1.1:80/6 -> 10.244.1.5:80 local"]);
    // Nothing on this node: dropped where others answer, refused where nobody does.
    let other = || at(json!([endpoint(6, "two", "ready")]));
    check(vec![internal()], other(), &["in 10.96.1.1:80/6 -> local elsewhere"]);
    check(vec![internal()], vec![], &["in 10.96.1.1:80/6 -> local"]);
    check(
        vec![external()],
        other(),
        &[
            "in :::30080/6 -> 10.244.1.6:80",
            "out :::30080/6 -> local elsewhere",
            "in 10.96.1.1:80/6 -> 10.244.1.6:80",
            "in 198.51.100.9:80/6 -> 10.244.1.6:80",
            "out 198.51.100.9:80/6 -> local elsewhere",
        ],
    );
    // The policy of a Service that nobody reaches from outside says nothing.
    check(
        vec![web(json!({"externalTrafficPolicy": "Local"}))],
        both(),
        &["in 10.96.1.1:80/6 -> 10.244.1.5:80 10.244.1.6:80"],
    );
}

#[test]
fn terminating_endpoints_serve_when_no_other_does() {
    let local = || web(json!({"internalTrafficPolicy": "Local"}));
    let rows = [
        (
            json!([endpoint(1, "one", "leaving"), endpoint(2, "one", "gone")]),
            "10.244.1.1:80",
            "10.244.1.1:80 local",
        ),
        (
            json!([endpoint(1, "one", "leaving"), endpoint(3, "one", "ready")]),
            "10.244.1.3:80",
            "10.244.1.3:80 local",
        ),
        // Each policy looks for itself: here the cluster has one that is ready, and this node has none.
        (
            json!([endpoint(1, "one", "leaving"), endpoint(3, "two", "ready")]),
            "10.244.1.3:80",
            "10.244.1.1:80 local",
        ),
        (json!([endpoint(1, "two", "leaving")]), "10.244.1.1:80", "local elsewhere"),
        (json!([endpoint(1, "one", "starting"), endpoint(2, "one", "gone")]), "", "local"),
    ];
    for (endpoints, cluster, kept) in rows {
        for (service, expected) in [(web(json!({})), cluster), (local(), kept)] {
            let line = format!("in 10.96.1.1:80/6 -> {expected}");
            check(vec![service], at(endpoints.clone()), &[line.trim_end()]);
        }
    }
}

#[test]
fn hints_narrow_the_choice_where_all_have_them() {
    let hinted = |last: u8, hints: Value| {
        let mut endpoint = endpoint(last, if last == 1 { "one" } else { "two" }, "ready");
        endpoint["hints"] = hints;
        endpoint
    };
    let zone =
        |names: &[&str]| json!({"forZones": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()});
    let node = |zone: &str, node: &str| json!({"forZones": [{"name": zone}], "forNodes": [{"name": node}]});
    let rows = [
        ("its zone", json!([hinted(1, zone(&["z1"])), hinted(2, zone(&["z2"]))]), "10.244.1.1:80"),
        ("several zones", json!([hinted(1, zone(&["z3", "z1"])), hinted(2, zone(&["z2"]))]), "10.244.1.1:80"),
        (
            "no endpoint in its zone",
            json!([hinted(1, zone(&["z2"])), hinted(2, zone(&["z3"]))]),
            "10.244.1.1:80 10.244.1.2:80",
        ),
        (
            "one has no hint",
            json!([hinted(1, zone(&["z1"])), hinted(2, json!({}))]),
            "10.244.1.1:80 10.244.1.2:80",
        ),
        ("its node", json!([hinted(1, node("z1", "one")), hinted(2, node("z1", "two"))]), "10.244.1.1:80"),
        (
            "no endpoint for its node, but for its zone",
            json!([hinted(2, node("z1", "two")), hinted(3, node("z2", "three"))]),
            "10.244.1.2:80",
        ),
        (
            "an unready one without hints does not count",
            json!([hinted(1, zone(&["z1"])), hinted(2, zone(&["z2"])), endpoint(3, "two", "leaving")]),
            "10.244.1.1:80",
        ),
        ("nobody is ready", json!([endpoint(3, "two", "leaving")]), "10.244.1.3:80"),
    ];
    for (what, endpoints, expected) in rows {
        let (tables, _) = build(vec![web(json!({}))], at(endpoints));
        assert_eq!(shown(&tables), [format!("in 10.96.1.1:80/6 -> {expected}")], "{what}");
    }
}

#[test]
fn clients_stay_with_their_endpoint_for_a_while() {
    let rows = [
        (json!({"sessionAffinity": "ClientIP"}), " affinity 10800 s"),
        (
            json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10}}}),
            " affinity 10 s",
        ),
        (
            json!({"sessionAffinity": "None", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10}}}),
            "",
        ),
    ];
    for (spec, affinity) in rows {
        let line = format!("in 10.96.1.1:80/6 -> 10.244.1.5:80{affinity}");
        check(vec![web(spec)], at(json!([endpoint(5, "one", "ready")])), &[&line]);
    }
}

#[test]
fn services_that_are_not_ours_are_left_alone() {
    let ports = json!([{"protocol": "TCP", "port": 80}]);
    let labelled = view(json!({
        "metadata": {"namespace": "default", "name": "theirs", "labels": {"service.kubernetes.io/service-proxy-name": "x"}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.1.2", "ports": ports},
    }));
    check(
        vec![
            service(
                "headless",
                json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"], "ports": ports}),
            ),
            service("external", json!({"type": "ExternalName", "externalName": "example.com"})),
            labelled,
            service("empty", json!({"type": "ClusterIP", "clusterIP": "10.96.1.3", "ports": ports})),
        ],
        vec![],
        &["in 10.96.1.3:80/6 ->"],
    );
}

#[test]
fn of_two_claims_the_stronger_holds() {
    let ports = json!([{"protocol": "TCP", "port": 80}]);
    let named = |name: &str, spec: Value| service(name, spec);
    let victim = named("z-victim", json!({"clusterIP": "10.96.1.1", "ports": ports}));
    let thief =
        named("a-thief", json!({"clusterIP": "10.96.1.2", "externalIPs": ["10.96.1.1"], "ports": ports}));
    let (tables, problems) = build(vec![thief, victim], vec![]);
    let key = ServiceKey {
        address: address("10.96.1.1"),
        port: Be16::new(80),
        protocol: 6,
        scope: ServiceKey::INSIDE,
    };
    assert_eq!(tables.services[&key].name, "default/z-victim:80");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].object, "Service default/a-thief");
    assert!(problems[0].message.contains("10.96.1.1:80 belongs to default/z-victim:80"), "{problems:?}");
}

#[test]
fn load_balancers_are_told_of_ready_local_endpoints() {
    let balanced = |policy: &str| {
        web(json!({"type": "LoadBalancer", "externalTrafficPolicy": policy, "healthCheckNodePort": 31999}))
    };
    let endpoints = json!([
        endpoint(1, "one", "ready"),
        endpoint(2, "one", "leaving"),
        endpoint(3, "two", "ready"),
        endpoint(4, "one", "ready"),
    ]);
    let local = |service| build(vec![service], at(endpoints.clone())).0.health;
    assert_eq!(
        local(balanced("Local")),
        [(31_999, HealthCheck { namespace: "default".into(), name: "web".into(), local_endpoints: 2 })]
            .into()
    );
    assert_eq!(local(balanced("Cluster")), [].into());
}

fn pod(spec: Value, phase: &str) -> LocalPod {
    let pod = view(json!({
        "metadata": {"namespace": "default", "name": "p", "uid": "u"}, "spec": spec, "status": {"phase": phase},
    }));
    LocalPod { pod, address: address("10.244.0.7") }
}

fn container(port: Value) -> Value {
    json!({"containers": [{"ports": [port]}]})
}

#[test]
fn host_ports_lead_to_this_nodes_pods() {
    let both = [
        "in 127.0.0.1:8080/6 -> 10.244.0.7:80 local",
        "in 192.168.7.1:8080/6 -> 10.244.0.7:80 local",
        "out 192.168.7.1:8080/6 -> 10.244.0.7:80 local",
    ];
    let port = |more: Value| {
        let mut port = json!({"containerPort": 80, "hostPort": 8080, "protocol": "TCP"});
        more.as_object().unwrap().iter().for_each(|(name, value)| port[name] = value.clone());
        port
    };
    let own_only =
        ["in 192.168.7.9:8080/6 -> 10.244.0.7:80 local", "out 192.168.7.9:8080/6 -> 10.244.0.7:80 local"];
    let sidecar =
        |policy: &str| json!({"initContainers": [{"restartPolicy": policy, "ports": [port(json!({}))]}]});
    let rows: &[(Value, &str, &[&str])] = &[
        (container(port(json!({}))), "Running", &both),
        (container(port(json!({"hostIP": "0.0.0.0"}))), "Pending", &both),
        (container(port(json!({"hostIP": "192.168.7.9"}))), "Running", &own_only),
        // From outside nothing reaches a loopback address.
        (container(port(json!({"hostIP": "127.0.0.1"}))), "Running", &both[..1]),
        (
            container(port(json!({"protocol": "UDP", "hostIP": "127.0.0.1"}))),
            "Running",
            &["in 127.0.0.1:8080/17 -> 10.244.0.7:80 local"],
        ),
        (container(json!({"containerPort": 80})), "Running", &[]),
        (container(port(json!({}))), "Succeeded", &[]),
        (sidecar("Always"), "Running", &both),
        (sidecar(""), "Running", &[]),
    ];
    for (spec, phase, expected) in rows {
        let views = Views { pods: vec![pod(spec.clone(), phase)], ..Views::default() };
        let (tables, problems) = Tables::build(&facts(), &views, &Default::default());
        assert_eq!(
            (shown(&tables), problems),
            (expected.iter().map(|s| s.to_string()).collect(), vec![]),
            "{spec}"
        );
    }
}
