use super::*;
use crate::tables::Views;
use crate::tables::tests::{facts, node, service, slice};
use serde_json::json;

fn tables() -> Tables {
    let port = json!({"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30080});
    let views = Views {
        services: vec![
            service("web", json!({"type": "NodePort", "clusterIP": "10.96.1.1", "ports": [port]})),
            service("empty", json!({"clusterIP": "10.96.1.2", "ports": [{"protocol": "UDP", "port": 53}]})),
        ],
        slices: vec![slice(
            "web",
            json!([{"name": "http", "protocol": "TCP", "port": 8080}]),
            json!([{"addresses": ["10.244.0.5"]}, {"addresses": ["10.244.1.5"]}]),
        )],
        nodes: vec![node("two", "192.168.7.2", "10.244.1.0/24")],
    };
    Tables::build(&facts(), &views, &BTreeMap::new()).0
}

#[test]
fn a_service_becomes_a_chain_with_equal_chances() {
    let (text, chains) = render(&tables(), &BTreeSet::new());
    assert_eq!(
        chains.into_iter().collect::<Vec<_>>(),
        ["KEELSON-S-00000000-30080-6", "KEELSON-S-0a600101-80-6"]
    );
    for expected in [
        "-A KEELSON-SERVICES -d 10.96.1.1/32 -p tcp -m tcp --dport 80 -m comment --comment \"default/web:http\" -j KEELSON-S-0a600101-80-6",
        "-A KEELSON-S-0a600101-80-6 -p tcp -m statistic --mode random --probability 0.5000000000 -j DNAT --to-destination 10.244.0.5:8080",
        "-A KEELSON-S-0a600101-80-6 -p tcp -j DNAT --to-destination 10.244.1.5:8080",
        "-A KEELSON-REJECT -d 10.96.1.2/32 -p udp -m udp --dport 53 -m comment --comment \"default/empty:53\" -j REJECT",
        "-A KEELSON-SERVICES -d 10.96.0.10/32 -j RETURN",
    ] {
        assert!(text.lines().any(|line| line == expected), "missing: {expected}\n{text}");
    }
}

#[test]
fn chains_of_services_that_are_gone_are_deleted() {
    let stale = BTreeSet::from(["KEELSON-S-0a600101-80-6".to_owned(), "KEELSON-S-0a600109-80-6".to_owned()]);
    let (text, _) = render(&tables(), &stale);
    assert!(text.contains(":KEELSON-S-0a600109-80-6 - [0:0]\n-X KEELSON-S-0a600109-80-6\n"));
    assert!(!text.contains("-X KEELSON-S-0a600101-80-6"));
}
