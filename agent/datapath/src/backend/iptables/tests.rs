use super::*;
use crate::tables::tests::{address, facts, node, service, slice, view};
use crate::tables::{LocalPod, Views};
use keelson_ebpf_abi::Endpoint;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The text by which a node that knows of no chain takes these services, with one pod of its own behind a host port.
fn text(services: &[(&str, Value)], endpoints: Value) -> String {
    let port = json!([{"name": "http", "protocol": "TCP", "port": 8080}]);
    let pod = view(json!({
        "metadata": {"namespace": "default", "name": "p", "uid": "u"},
        "spec": {"containers": [{"ports": [{"containerPort": 80, "hostPort": 8081}]}]},
    }));
    let views = Views {
        services: services.iter().map(|(name, spec)| service(name, spec.clone())).collect(),
        slices: vec![slice("web", port, endpoints)],
        nodes: vec![node("two", "192.168.7.2", "10.244.1.0/24")],
        pods: vec![LocalPod { pod, address: address("10.244.0.7") }],
        ..Views::default()
    };
    let tables = Tables::build(&facts(), &views, &BTreeMap::new()).0;
    Ruleset::default().restore(&render(&tables))
}

fn web(more: Value) -> Value {
    let port = json!({"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30080});
    let mut spec = json!({"type": "NodePort", "clusterIP": "10.96.1.1", "ports": [port]});
    more.as_object().unwrap().iter().for_each(|(name, value)| spec[name] = value.clone());
    spec
}

fn both() -> Value {
    json!([{"addresses": ["10.244.0.5"], "nodeName": "one"}, {"addresses": ["10.244.1.5"], "nodeName": "two"}])
}

fn other() -> Value {
    json!([{"addresses": ["10.244.1.5"], "nodeName": "two"}])
}

/// The chain that a rule beginning so leads to.
fn target<'a>(text: &'a str, rule: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(rule));
    line.and_then(|line| line.rsplit(' ').next()).unwrap_or_else(|| panic!("missing: {rule}\n{text}"))
}

/// The rules of a chain without its name.
fn rules<'a>(text: &'a str, chain: &str) -> Vec<&'a str> {
    let begin = format!("-A {chain} ");
    text.lines().filter_map(|line| line.strip_prefix(begin.as_str())).collect()
}

const MARK: &str = "! -s 10.244.0.0/16 -j MARK --set-xmark 0x4b000000/0xff000000";

#[test]
fn a_service_port_is_one_chain_with_equal_chances() {
    let text = text(&[("web", web(json!({"externalIPs": ["198.51.100.9"]})))], both());
    let chain = target(&text, "-A KEELSON-INSIDE -d 10.96.1.1/32 -p tcp -m tcp --dport 80 ");
    for rule in [
        "-A KEELSON-INSIDE -d 198.51.100.9/32 -p tcp -m tcp --dport 80 ",
        "-A KEELSON-OUTSIDE -d 198.51.100.9/32 -p tcp -m tcp --dport 80 ",
        "-A KEELSON-NODEPORTS -p tcp -m tcp --dport 30080 ",
        "-A KEELSON-NODEPORTS-OUT -p tcp -m tcp --dport 30080 ",
    ] {
        assert_eq!(target(&text, rule), chain);
    }
    assert_eq!(text.matches(&format!(":{chain} ")).count(), 1);
    assert_eq!(
        rules(&text, chain),
        [
            MARK,
            "-p tcp -m statistic --mode random --probability 0.5000000000 -j DNAT --to-destination 10.244.0.5:8080",
            "-p tcp -j DNAT --to-destination 10.244.1.5:8080",
        ]
    );
    assert!(!rules(&text, "KEELSON-OUTSIDE").iter().any(|rule| rule.contains("10.96.1.1")));
    assert!(chain.len() <= 28, "{chain}");
}

#[test]
fn who_asks_is_told_apart_first() {
    let text = text(&[], json!([]));
    for (from, inside, outside) in [
        ("KEELSON-SERVICES", "KEELSON-INSIDE", "KEELSON-OUTSIDE"),
        ("KEELSON-REJECT", "KEELSON-REJECT-IN", "KEELSON-REJECT-OUT"),
    ] {
        let mut expected = vec![
            "-d 10.96.0.10/32 -j RETURN".to_owned(),
            format!("-i kp+ -g {inside}"),
            format!("-i keelson-vxlan -g {inside}"),
            format!("-m addrtype --src-type LOCAL -g {inside}"),
            format!("-g {outside}"),
        ];
        if from == "KEELSON-REJECT" {
            let guard = "-i kp+ -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP";
            expected.insert(0, guard.to_owned());
        }
        assert_eq!(rules(&text, from), expected);
    }
}

#[test]
fn local_policies_masquerade_nobody() {
    let text = text(&[("web", web(json!({"externalTrafficPolicy": "Local"})))], both());
    let local = target(&text, "-A KEELSON-NODEPORTS-OUT -p tcp ");
    assert_eq!(rules(&text, local), ["-p tcp -j DNAT --to-destination 10.244.0.5:8080"]);
    let cluster = target(&text, "-A KEELSON-NODEPORTS -p tcp ");
    assert_eq!(cluster, target(&text, "-A KEELSON-INSIDE -d 10.96.1.1/32 "));
    assert_eq!(rules(&text, cluster).len(), 3);
}

#[test]
fn without_endpoints_clients_are_refused_and_without_local_ones_dropped() {
    let local = web(json!({"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"}));
    let node_port = "! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -p tcp -m tcp --dport 30080 -m comment --comment \"default/web:http\"";
    let cluster_ip = "-d 10.96.1.1/32 -p tcp -m tcp --dport 80 -m comment --comment \"default/web:http\"";
    let rows = [
        (
            json!([]),
            vec![format!("{node_port} -j REJECT"), format!("{cluster_ip} -j REJECT")],
            vec![format!("{node_port} -j REJECT")],
        ),
        (other(), vec![format!("{cluster_ip} -j DROP")], vec![format!("{node_port} -j DROP")]),
        (both(), vec![], vec![]),
    ];
    for (endpoints, inside, outside) in rows {
        let text = text(&[("web", local.clone())], endpoints);
        assert_eq!(rules(&text, "KEELSON-REJECT-IN"), inside);
        assert_eq!(rules(&text, "KEELSON-REJECT-OUT"), outside);
    }
}

#[test]
fn clients_stay_with_their_endpoint() {
    let sticky =
        json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 30}}});
    let text = text(&[("web", web(sticky))], both());
    let chain = target(&text, "-A KEELSON-INSIDE -d 10.96.1.1/32 ");
    let found = rules(&text, chain);
    let list =
        |rule: &str| rule.split("--name ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    let (one, two) = (list(found[1]), list(found[2]));
    assert_ne!(one, two);
    assert_eq!(
        found,
        [
            MARK.to_owned(),
            format!(
                "-p tcp -m recent --name {one} --rcheck --seconds 30 --reap -m recent --name {one} --set -j DNAT --to-destination 10.244.0.5:8080"
            ),
            format!(
                "-p tcp -m recent --name {two} --rcheck --seconds 30 --reap -m recent --name {two} --set -j DNAT --to-destination 10.244.1.5:8080"
            ),
            format!(
                "-p tcp -m statistic --mode random --probability 0.5000000000 -m recent --name {one} --set -j DNAT --to-destination 10.244.0.5:8080"
            ),
            format!("-p tcp -m recent --name {two} --set -j DNAT --to-destination 10.244.1.5:8080"),
        ]
    );
}

#[test]
fn a_host_port_leads_to_its_pod_from_both_sides_and_from_the_node_itself() {
    let text = text(&[], json!([]));
    let chain = target(&text, "-A KEELSON-OUTSIDE -d 192.168.7.1/32 -p tcp -m tcp --dport 8081 ");
    assert_eq!(target(&text, "-A KEELSON-INSIDE -d 192.168.7.1/32 -p tcp -m tcp --dport 8081 "), chain);
    assert_eq!(target(&text, "-A KEELSON-INSIDE -d 127.0.0.1/32 -p tcp -m tcp --dport 8081 "), chain);
    assert_eq!(rules(&text, chain), ["-p tcp -j DNAT --to-destination 10.244.0.7:80"]);
    assert!(!rules(&text, "KEELSON-OUTSIDE").iter().any(|rule| rule.contains("127.0.0.1")));
    let loopback = "-s 127.0.0.0/8 -o kp+ -j SNAT --to-source 192.168.7.1 --random-fully";
    assert!(rules(&text, "KEELSON-POST").contains(&loopback));
}

#[test]
fn who_leaves_under_another_address() {
    let views = Views { nodes: vec![node("one", "192.168.7.1", "10.244.0.0/24")], ..Views::default() };
    let endpoints = BTreeMap::from([(address("10.244.0.5"), Endpoint { ifindex: 9, ..Endpoint::default() })]);
    let text = Ruleset::default().restore(&render(&Tables::build(&facts(), &views, &endpoints).0));
    let marked = "-m mark --mark 0x4b000000/0xff000000";
    let (node, tunnel) = ("-j SNAT --to-source 192.168.7.1", "-j SNAT --to-source 10.244.0.0");
    assert_eq!(
        rules(&text, "KEELSON-POST"),
        [
            format!("-o keelson-vxlan {marked} {tunnel} --random-fully"),
            format!("{marked} {node} --random-fully"),
            format!("-s 127.0.0.0/8 -o kp+ {node} --random-fully"),
            format!("-s 10.244.0.5/32 -d 10.244.0.5/32 {node} --random-fully"),
            // Whoever asks an address of this node needs no other one for the answer.
            format!(
                "-s 10.244.0.0/16 ! -d 10.244.0.0/16 -m addrtype ! --dst-type LOCAL {node} --random-fully"
            ),
        ]
    );
}

/// What a change costs: chains whose content stays are not named.
#[test]
fn only_what_differs_is_written() {
    let rendered = |endpoints: Value| {
        let other = json!({"clusterIP": "10.96.1.9", "ports": [{"protocol": "TCP", "port": 80}]});
        let views = Views {
            services: vec![service("web", web(json!({}))), service("other", other)],
            slices: vec![slice("web", json!([{"name": "http", "protocol": "TCP", "port": 8080}]), endpoints)],
            ..Views::default()
        };
        render(&Tables::build(&facts(), &views, &BTreeMap::new()).0)
    };
    let (before, after) = (rendered(both()), rendered(other()));
    let text = before.restore(&after);
    let declared: Vec<_> = text.lines().filter(|line| line.starts_with(':')).collect();
    assert_eq!(declared.len(), 1, "{text}");
    assert_eq!(after.restore(&after), "");
    assert!(after.forgotten().restore(&after).lines().filter(|line| line.starts_with(':')).count() > 10);
}

#[test]
fn chains_of_services_that_are_gone_are_deleted() {
    let chain = |name: &str| format!("{}{name}", rules::SERVICE_CHAIN);
    let left = Ruleset::unknown("nat", [chain("0a600101-80-6")]);
    let text = left.restore(&rules::empty());
    let gone = chain("0a600101-80-6");
    assert!(
        text.contains(&format!(":{gone} - [0:0]\n")) && text.contains(&format!("-X {gone}\nCOMMIT\n")),
        "{text}"
    );
    assert!(text.contains(":KEELSON-SERVICES - [0:0]\n"));
}
