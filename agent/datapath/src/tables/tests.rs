use super::*;
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

pub(crate) fn view<T: serde::de::DeserializeOwned>(value: Value) -> Arc<T> {
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
