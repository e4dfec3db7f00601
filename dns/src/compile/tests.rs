//! Objects in, names and records out, both as text.

use super::*;
use serde_json::{Value, json};

/// One line per record, sorted by name; names without records are listed bare.
fn show(names: &Named) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, records) in names {
        let before = lines.len();
        lines.extend(records.a.iter().map(|a| format!("{name} A {}", IpAddr::from(*a))));
        lines.extend(records.aaaa.iter().map(|a| format!("{name} AAAA {}", IpAddr::from(*a))));
        lines.extend(records.srv.iter().map(|s| format!("{name} SRV {} {}", s.port, s.target)));
        lines.extend(records.ptr.iter().map(|p| format!("{name} PTR {p}")));
        lines.extend(records.cname.iter().map(|c| format!("{name} CNAME {c}")));
        if lines.len() == before {
            lines.push(name.to_string());
        }
    }
    lines.sort();
    lines
}

fn check(service_spec: Value, slices: &[Value], expected: &[&str]) {
    let object = json!({ "metadata": { "name": "web", "namespace": "ns" }, "spec": service_spec });
    let view: Service = serde_json::from_value(object).unwrap();
    let slices: Vec<EndpointSlice> =
        slices.iter().map(|s| serde_json::from_value(s.clone()).unwrap()).collect();
    let zone = Name::parse("c.l").unwrap();
    assert_eq!(show(&service(&view, slices.iter(), &zone)), expected);
}

#[test]
fn a_cluster_ip() {
    check(
        json!({ "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5", "fd00::5"],
            "ports": [{ "name": "http", "protocol": "TCP", "port": 80 }, { "protocol": "UDP", "port": 53 }] }),
        &[],
        &[
            "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR web.ns.svc.c.l.",
            "5.0.96.10.in-addr.arpa. PTR web.ns.svc.c.l.",
            "_http._tcp.web.ns.svc.c.l. SRV 80 web.ns.svc.c.l.",
            "_tcp.web.ns.svc.c.l.",
            "web.ns.svc.c.l. A 10.96.0.5",
            "web.ns.svc.c.l. AAAA fd00::5",
            "web.ns.svc.c.l. SRV 53 web.ns.svc.c.l.",
            "web.ns.svc.c.l. SRV 80 web.ns.svc.c.l.",
        ],
    );
}

#[test]
fn a_headless_service_is_its_ready_endpoints() {
    let slice = json!({
        "addressType": "IPv4",
        "ports": [{ "name": "p", "protocol": "TCP", "port": 8080 }],
        "endpoints": [
            { "addresses": ["10.244.0.2"] },
            { "addresses": ["10.244.0.3"], "hostname": "db-0", "conditions": { "ready": true } },
            { "addresses": ["10.244.0.4"], "conditions": { "ready": false } },
        ],
    });
    check(
        json!({ "clusterIP": "None" }),
        &[slice],
        &[
            "10-244-0-2.web.ns.svc.c.l. A 10.244.0.2",
            "2.0.244.10.in-addr.arpa. PTR 10-244-0-2.web.ns.svc.c.l.",
            "3.0.244.10.in-addr.arpa. PTR db-0.web.ns.svc.c.l.",
            "_p._tcp.web.ns.svc.c.l. SRV 8080 10-244-0-2.web.ns.svc.c.l.",
            "_p._tcp.web.ns.svc.c.l. SRV 8080 db-0.web.ns.svc.c.l.",
            "_tcp.web.ns.svc.c.l.",
            "db-0.web.ns.svc.c.l. A 10.244.0.3",
            "web.ns.svc.c.l. A 10.244.0.2",
            "web.ns.svc.c.l. A 10.244.0.3",
            "web.ns.svc.c.l. SRV 8080 10-244-0-2.web.ns.svc.c.l.",
            "web.ns.svc.c.l. SRV 8080 db-0.web.ns.svc.c.l.",
        ],
    );
}

/// While an endpoint moves from one slice to another it is in both.
#[test]
fn an_endpoint_in_two_slices_is_one() {
    let slice = json!({
        "addressType": "IPv4",
        "ports": [{ "name": "p", "protocol": "TCP", "port": 8080 }],
        "endpoints": [{ "addresses": ["10.244.0.3"], "hostname": "db-0" }],
    });
    check(
        json!({ "clusterIP": "None" }),
        &[slice.clone(), slice],
        &[
            "3.0.244.10.in-addr.arpa. PTR db-0.web.ns.svc.c.l.",
            "_p._tcp.web.ns.svc.c.l. SRV 8080 db-0.web.ns.svc.c.l.",
            "_tcp.web.ns.svc.c.l.",
            "db-0.web.ns.svc.c.l. A 10.244.0.3",
            "web.ns.svc.c.l. A 10.244.0.3",
            "web.ns.svc.c.l. SRV 8080 db-0.web.ns.svc.c.l.",
        ],
    );
}

#[test]
fn a_headless_service_without_ready_endpoints_has_no_name() {
    let slice = json!({ "addressType": "IPv4", "endpoints": [{ "addresses": ["10.244.0.4"], "conditions": { "ready": false } }] });
    check(json!({ "clusterIP": "None" }), &[slice], &[]);
}

#[test]
fn an_external_name() {
    let spec = |target: &str| json!({ "type": "ExternalName", "externalName": target });
    check(spec("example.org"), &[], &["web.ns.svc.c.l. CNAME example.org."]);
    check(spec("192.0.2.1"), &[], &[]);
}

#[test]
fn a_service_without_an_address_yet_has_no_name() {
    check(json!({ "ports": [{ "port": 80 }] }), &[], &[]);
}

#[test]
fn zone_and_namespaces_exist() {
    let apex = Name::parse("c.l").unwrap();
    let names = show(&zone(&apex, "10.96.0.10".parse().unwrap()));
    assert_eq!(
        names,
        ["c.l.", "dns-version.c.l.", "dns.c.l.", "ns.dns.c.l. A 10.96.0.10", "pod.c.l.", "svc.c.l."]
    );
    assert_eq!(show(&namespace("ns", &apex)), ["ns.pod.c.l.", "ns.svc.c.l."]);
}
