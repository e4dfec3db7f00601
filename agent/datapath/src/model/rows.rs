//! Packet rows: what must happen, in words, for the model and for the programs alike.
//!
//! A row is a little story of packets. Each line says where a packet arrives, what it is, where it must go and
//! as what: `from a: tcp 10.244.1.2:1000 > 10.96.1.1:80 S => pod b: tcp 10.244.1.2:1000 > 10.244.1.3:8080 S`.
//! `same` stands for the packet as it came. The port `NAT` is whatever the first line of the row that names it
//! has chosen.
//!
//! Between packets a row may say what policies are and ask what has come of them:
//! `policy: a 7, b 9, epoch 2` gives the pods these sets and begins this epoch;
//! `asked: yes` when the packet of the line before has had the policy asked about its flow, `asked: no` when not;
//! `flow: tcp 10.244.1.2:1000 > 10.96.1.1:80 => set 7, epoch 2` is what the entry of such packets says, or `none`.

mod frame;
mod policy;
mod table;

pub use frame::Frame;
pub use policy::ROWS as POLICY_ROWS;
pub use table::ROWS;

use super::{Arrival, Chance, Mark, Model, Outcome, Verdict, normalised, read};
use crate::tables::tests::{address, facts, node, service, slice, view};
use crate::tables::{LocalPod, Tables, Views};
use keelson_client::views::Service;
use keelson_ebpf_abi::{Backend, Config, Endpoint, Hook, REASONS, Tuple};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Interfaces of the node that the rows play on.
#[derive(Clone, Copy, Debug)]
pub struct Interfaces {
    pub a: u32,
    pub b: u32,
    pub outer: u32,
    pub tunnel: u32,
}

/// Name, address, NodePort, backends.
type Given<'a> = (&'a str, &'a str, u16, &'a [(&'a str, u16)]);

/// Pods a (10.244.1.2) and b (10.244.1.3) on the node 192.168.7.1; node 192.168.7.2 has 10.244.2.0/24.
pub fn tables(interfaces: Interfaces) -> Tables {
    let facts = crate::tables::Facts {
        outer_ifindex: interfaces.outer,
        vxlan_ifindex: interfaces.tunnel,
        flags: Config::TRACE,
        ..facts()
    };
    let both = |node_port: u16| {
        let port = |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "port": 80, "nodePort": node_port});
        json!([port("t", "TCP"), port("u", "UDP"), port("s", "SCTP")])
    };
    let mut views = Views {
        nodes: vec![node("one", "192.168.7.1", "10.244.1.0/24"), node("two", "192.168.7.2", "10.244.2.0/24")],
        ..Views::default()
    };
    let services: &[Given<'_>] = &[
        ("near", "10.96.1.1", 30_080, &[("10.244.1.3", 8080)]),
        ("far", "10.96.1.2", 30_081, &[("10.244.2.5", 8080)]),
        ("empty", "10.96.1.3", 30_082, &[]),
        ("host", "10.96.1.4", 30_083, &[("192.168.7.1", 9090)]),
        ("outside", "10.96.1.5", 30_084, &[("203.0.113.9", 443)]),
        ("other-host", "10.96.1.6", 30_085, &[("192.168.7.2", 9090)]),
        ("both", "10.96.1.7", 30_086, &[("10.244.1.2", 8080), ("10.244.1.3", 8080), ("10.244.2.5", 8081)]),
    ];
    for (name, ip, node_port, backends) in services {
        let spec = json!({"type": "NodePort", "clusterIP": ip, "ports": both(*node_port)});
        views.services.push(service(name, spec));
        for (index, (ip, at)) in backends.iter().enumerate() {
            let port = |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "port": at});
            let ports = json!([port("t", "TCP"), port("u", "UDP"), port("s", "SCTP")]);
            let mut slice = slice(name, ports, json!([{"addresses": [ip]}]));
            std::sync::Arc::make_mut(&mut slice).metadata.name = format!("{name}-{index}");
            views.slices.push(slice);
        }
    }
    views.services.extend(special(&both));
    for (name, endpoints) in [
        ("named", json!([{"addresses": ["10.244.1.3"]}])),
        (
            "kept",
            json!([{"addresses": ["10.244.1.3"], "nodeName": "one"}, {"addresses": ["10.244.2.5"], "nodeName": "two"}]),
        ),
        ("away", json!([{"addresses": ["10.244.2.5"], "nodeName": "two"}])),
        ("sticky", json!([{"addresses": ["10.244.1.3"]}, {"addresses": ["10.244.2.5"]}])),
    ] {
        let port = |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "port": 8080});
        let ports = json!([port("t", "TCP"), port("u", "UDP"), port("s", "SCTP")]);
        views.slices.push(slice(name, ports, endpoints));
    }
    let port = |protocol: &str| json!({"containerPort": 8080, "hostPort": 8099, "protocol": protocol});
    let spec = json!({"containers": [{"name": "b", "ports": [port("TCP"), port("UDP")]}]});
    let pod = view(json!({"metadata": {"namespace": "default", "name": "b", "uid": "b"}, "spec": spec}));
    views.pods.push(LocalPod { pod, address: address("10.244.1.3") });
    let endpoint = |ifindex, last| Endpoint { ifindex, mac: [2, 0, 0, 0, 0, last], ..Endpoint::default() };
    let endpoints = BTreeMap::from([
        (address("10.244.1.2"), endpoint(interfaces.a, 0xa)),
        (address("10.244.1.3"), endpoint(interfaces.b, 0xb)),
    ]);
    let (tables, problems) = Tables::build(&facts, &views, &endpoints);
    assert_eq!(problems, []);
    tables
}

/// Services with addresses and policies of their own.
fn special(both: &dyn Fn(u16) -> Value) -> [Arc<Service>; 4] {
    let spec = |ip: &str, node_port: u16, more: Value| {
        let mut spec = json!({"type": "NodePort", "clusterIP": ip, "ports": both(node_port)});
        let more = more.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(more);
        spec
    };
    let mut sticky = spec("10.96.1.11", 30_091, json!({"sessionAffinity": "ClientIP"}));
    // Longer than a test of the programs runs.
    sticky["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": 10}});
    // By SCTP a port cannot be turned, so what was chosen would not show.
    sticky["ports"].as_array_mut().unwrap().truncate(2);
    let local = json!({"externalTrafficPolicy": "Local", "externalIPs": ["198.51.100.8"]});
    [
        service("named", spec("10.96.1.8", 30_087, json!({"externalIPs": ["198.51.100.7"]}))),
        service("kept", spec("10.96.1.9", 30_088, local)),
        service("away", spec("10.96.1.10", 30_089, json!({"externalTrafficPolicy": "Local"}))),
        service("sticky", sticky),
    ]
}

/// Something that judges packets: the model, or the programs.
pub trait Judge {
    fn judge(&mut self, arrival: Arrival<'_>) -> Outcome;

    /// Goes on by tables that have changed; the flows stay.
    fn change(&mut self, change: &dyn Fn(&mut Tables));

    /// What the entry of a flow says of its last judgement.
    fn mark(&self, tuple: &Tuple) -> Option<Mark>;
}

/// Plays one row.
pub fn play(judge: &mut dyn Judge, interfaces: Interfaces, name: &str, lines: &[&str]) {
    let (mut nat, mut asked) = (None, None);
    for line in lines {
        match line.split_once(": ") {
            Some(("policy", policy)) => {
                judge.change(&|tables| set_policy(tables, policy));
                continue;
            }
            Some(("asked", expected)) => {
                assert_eq!(asked, Some(expected == "yes"), "{name}: {line}");
                continue;
            }
            Some(("flow", flow)) => {
                let (packet, expected) = flow.split_once(" => ").unwrap();
                let tuple = read(&Frame::parse(packet, nat).bytes()).unwrap().tuple;
                assert_eq!(shown(judge.mark(&tuple)), expected, "{name}: {line}");
                continue;
            }
            _ => {}
        }
        let (arrives, expected) = line.split_once(" => ").unwrap_or_else(|| panic!("{name}: {line}"));
        let (place, sent) = arrives.split_once(": ").unwrap();
        let (hook, ifindex) = hook(interfaces, place);
        let sent = Frame::parse(sent, nat);
        let outcome = judge.judge(Arrival { hook, ifindex, packet: &sent.bytes() });
        asked = Some(outcome.asked);
        let (verdict, leaves) = expected.split_once(": ").unwrap_or((expected, "same"));
        assert_eq!(outcome.verdict, self::verdict(interfaces, verdict), "{name}: {line}");
        if matches!(outcome.verdict, Verdict::Drop(_)) {
            continue;
        }
        if leaves.contains("NAT") && nat.is_none() {
            nat = read(&outcome.packet).map(|headers| headers.tuple.source_port.get());
        }
        let leaves = if leaves == "same" { sent } else { Frame::parse(leaves, nat) };
        let mut leaves = leaves.bytes();
        leaves[..12].copy_from_slice(&outcome.packet[..12]);
        let plain =
            |frame: &[u8]| normalised(frame).unwrap_or_else(|error| panic!("{name}: {line}: {error}"));
        assert_eq!(plain(&outcome.packet), plain(&leaves), "{name}: {line}");
    }
}

/// `a 7, b 9, epoch 2`.
fn set_policy(tables: &mut Tables, policy: &str) {
    for part in policy.split(", ") {
        let (name, number) = part.split_once(' ').unwrap();
        let number: u32 = number.parse().unwrap();
        match name {
            "a" => tables.endpoints.get_mut(&address("10.244.1.2")).unwrap().policy_set = number,
            "b" => tables.endpoints.get_mut(&address("10.244.1.3")).unwrap().policy_set = number,
            "epoch" => tables.config.policy_epoch = number,
            other => panic!("unknown part of a policy {other}"),
        }
    }
}

fn shown(mark: Option<Mark>) -> String {
    mark.map_or_else(|| "none".to_owned(), |mark| format!("set {}, epoch {}", mark.set, mark.epoch))
}

fn hook(interfaces: Interfaces, place: &str) -> (Hook, u32) {
    match place {
        "from a" => (Hook::FromPod, interfaces.a),
        "from b" => (Hook::FromPod, interfaces.b),
        "to tunnel" => (Hook::ToVxlan, interfaces.tunnel),
        "from tunnel" => (Hook::FromVxlan, interfaces.tunnel),
        "from outside" => (Hook::FromOuter, interfaces.outer),
        "to outside" => (Hook::ToOuter, interfaces.outer),
        other => panic!("unknown place {other}"),
    }
}

fn verdict(interfaces: Interfaces, text: &str) -> Verdict {
    match text.split_once(' ').unwrap_or((text, "")) {
        ("pass", "") => Verdict::Pass,
        ("outer", "") => Verdict::Outer,
        ("pod", "a") => Verdict::Pod(interfaces.a),
        ("pod", "b") => Verdict::Pod(interfaces.b),
        ("tunnel", node) => Verdict::Tunnel(address(node)),
        ("drop", name) => {
            let reason = REASONS.iter().find(|reason| reason.name() == name);
            Verdict::Drop(*reason.unwrap_or_else(|| panic!("unknown reason {name}")))
        }
        _ => panic!("unknown verdict {text}"),
    }
}

/// The model with the first of every choice.
struct First(Model);

impl Chance for u16 {
    fn backend(&mut self, _: &[Backend]) -> usize {
        0
    }

    fn port(&mut self) -> u16 {
        *self += 1;
        *self
    }
}

impl Judge for First {
    fn judge(&mut self, arrival: Arrival<'_>) -> Outcome {
        let mut next_port = 61_000 + u16::try_from(self.0.flow_entries()).unwrap();
        self.0.judge(arrival, &mut next_port)
    }

    fn change(&mut self, change: &dyn Fn(&mut Tables)) {
        let mut tables = self.0.tables.clone();
        change(&mut tables);
        self.0.set_tables(tables);
    }

    fn mark(&self, tuple: &Tuple) -> Option<Mark> {
        self.0.marks().get(tuple).copied()
    }
}

#[test]
fn the_model_meets_every_row() {
    let interfaces = Interfaces { a: 11, b: 12, outer: 2, tunnel: 3 };
    for (name, lines) in ROWS.iter().chain(POLICY_ROWS) {
        play(&mut First(Model::new(tables(interfaces))), interfaces, name, lines);
    }
}
