use super::*;
use keelson_ebpf_abi::ServiceKey;
use serde_json::{Value, json};

pub(crate) fn address(text: &str) -> Address {
    Address::from(text.parse::<std::net::IpAddr>().unwrap())
}

pub(crate) fn facts() -> Facts {
    Facts {
        node_name: "one".to_owned(),
        node: address("192.168.7.1"),
        outer_ifindex: 2,
        vxlan_ifindex: 3,
        vni: 1,
        cluster: "10.244.0.0/16".parse().unwrap(),
        services: "10.96.0.0/12".parse().unwrap(),
        dns: Some(address("10.96.0.10")),
        node_ports: 30_000..=32_767,
        nat_ports: 61_000..=65_535,
        flags: 0,
    }
}

fn view<T: serde::de::DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}

pub(crate) fn service(name: &str, spec: Value) -> Arc<Service> {
    view(json!({"metadata": {"namespace": "default", "name": name}, "spec": spec}))
}

pub(crate) fn slice(service: &str, ports: Value, endpoints: Value) -> Arc<EndpointSlice> {
    view(json!({
        "metadata": {"namespace": "default", "name": format!("{service}-x"),
                     "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": ports, "endpoints": endpoints,
    }))
}

pub(crate) fn node(name: &str, ip: &str, range: &str) -> Arc<Node> {
    view(json!({
        "metadata": {"name": name}, "spec": {"podCIDR": range, "podCIDRs": [range]},
        "status": {"addresses": [{"type": "InternalIP", "address": ip}, {"type": "Hostname", "address": name}]},
    }))
}

/// Compiles services and shows them as `address:port/protocol -> backends`.
fn check(services: Vec<Arc<Service>>, slices: Vec<Arc<EndpointSlice>>, expected: &[&str]) {
    let views = Views { services, slices, nodes: Vec::new() };
    let (tables, problems) = Tables::build(&facts(), &views, &BTreeMap::new());
    assert_eq!(problems, []);
    let show = |(key, port): (&ServiceKey, &Arc<ServicePort>)| {
        let backends: Vec<_> =
            port.backends.iter().map(|b| format!("{}:{}", b.address, b.port.get())).collect();
        format!("{}:{}/{} -> {}", key.address, key.port.get(), key.protocol, backends.join(" "))
    };
    let shown: Vec<_> = tables.services.iter().map(show).collect();
    assert_eq!(shown, expected);
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
            ":::30080/6 -> 10.244.1.9:8080 10.244.2.5:8080",
            "10.96.1.1:80/6 -> 10.244.1.9:8080 10.244.2.5:8080",
            "10.96.1.1:80/17 -> 10.244.1.9:53 10.244.2.5:53",
        ],
    );
}

#[test]
fn terminating_endpoints_serve_when_no_other_does() {
    let web = || {
        service(
            "web",
            json!({"type": "ClusterIP", "clusterIP": "10.96.1.1", "ports": [{"protocol": "TCP", "port": 80}]}),
        )
    };
    let ports = json!([{"name": "", "protocol": "TCP", "port": 80}]);
    let leaving = json!({"addresses": ["10.244.1.1"], "conditions": {"ready": false, "serving": true, "terminating": true}});
    let gone = json!({"addresses": ["10.244.1.2"], "conditions": {"ready": false, "serving": false, "terminating": true}});
    let ready = json!({"addresses": ["10.244.1.3"], "conditions": {"ready": true}});
    check(
        vec![web()],
        vec![slice("web", ports.clone(), json!([leaving, gone]))],
        &["10.96.1.1:80/6 -> 10.244.1.1:80"],
    );
    check(
        vec![web()],
        vec![slice("web", ports, json!([leaving, gone, ready]))],
        &["10.96.1.1:80/6 -> 10.244.1.3:80"],
    );
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
        &["10.96.1.3:80/6 -> "],
    );
}

#[test]
fn peers_are_found_by_the_longest_prefix() {
    let nodes =
        vec![node("one", "192.168.7.1", "10.244.0.0/24"), node("two", "192.168.7.2", "10.244.1.0/24")];
    let (tables, _) = Tables::build(&facts(), &Views { nodes, ..Views::default() }, &BTreeMap::new());
    let kind = |text: &str| tables.peer(address(text)).map(|peer| (peer.kind, peer.tunnel));
    let two = address("192.168.7.2");
    assert_eq!(kind("10.244.1.200"), Some((Peer::PODS, two)));
    assert_eq!(kind("192.168.7.2"), Some((Peer::NODE, two)));
    assert_eq!(kind("192.168.7.1"), Some((Peer::NODE, address("192.168.7.1"))));
    assert_eq!(kind("10.244.0.9"), Some((Peer::UNASSIGNED, Address::UNSPECIFIED)), "own pods are endpoints");
    assert_eq!(kind("10.100.0.1"), Some((Peer::SERVICES, Address::UNSPECIFIED)));
    assert_eq!(kind("192.168.7.3"), None);
}

#[test]
fn a_node_without_an_address_is_a_problem_of_its_own() {
    let nodes =
        vec![view(json!({"metadata": {"name": "two"}})), node("three", "192.168.7.3", "10.244.3.0/24")];
    let (tables, problems) = Tables::build(&facts(), &Views { nodes, ..Views::default() }, &BTreeMap::new());
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].object, "Node two");
    assert!(tables.peer(address("10.244.3.1")).is_some_and(|peer| peer.kind == Peer::PODS));
}

#[test]
fn ranges_parse_and_count() {
    let range: Prefix = "10.244.1.128/25".parse().unwrap();
    assert_eq!((range.to_string().as_str(), range.size()), ("10.244.1.128/25", 128));
    assert_eq!(range.nth(1), Some(address("10.244.1.129")));
    assert_eq!(range.nth(128), None);
    assert!(range.contains(address("10.244.1.255")) && !range.contains(address("10.244.1.127")));
    for wrong in ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/-1"] {
        assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
    }
}
