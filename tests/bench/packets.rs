//! What the kernel programs take per packet: BPF_PROG_TEST_RUN on packets that nobody sends, in a network namespace
//! that ends with the measurement.
//!
//! One run per packet, because a program that ran again on a translated one would find its own work in it. So each
//! figure has the kernel's two looks at the clock in it; the control, the same packet through a program that does
//! nothing, has nothing else. What leaves as it came is also run many times in a row, as under load.

use crate::tables::{address, facts};
use anyhow::{Context, Result, ensure};
use keelson_datapath::backend::ebpf::{Ebpf, Setup, Sizes, test_run};
use keelson_datapath::model::{Arrival, Chance, Model, Verdict, read, rewrite};
use keelson_datapath::tables::{Facts, Tables, Views};
use keelson_ebpf_abi::{Backend, Be16, Endpoint, Hook, Tuple};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::os::fd::AsFd;

const RUNS: u16 = 20_000;
const IN_A_ROW: u32 = 200_000;
const UDP: u8 = 17;
/// The loopback device, the only one in a new network namespace; pod a's packets seem to come by it.
const HERE: u32 = 1;
/// Where pod b would be; no packet leaves.
const NOWHERE: u32 = 1_002;
const FIRST_PORT: u16 = 10_000;

/// A packet by where it comes in and what it is.
struct Case {
    name: &'static str,
    hook: Hook,
    from: &'static str,
    to: (&'static str, u16),
    /// Every packet opens a flow.
    new: bool,
}

const fn case(name: &'static str, hook: Hook, from: &'static str, to: (&'static str, u16)) -> Case {
    Case { name, hook, from, to, new: false }
}

/// Node one (192.168.7.1) has pod a (10.244.1.2) and b (10.244.1.3), node two (192.168.7.2) the range 10.244.2.0/24.
const CASES: &[Case] = &[
    case("pod to pod", Hook::FromPod, "10.244.1.2", ("10.244.1.3", 8080)),
    case("pod to ClusterIP", Hook::FromPod, "10.244.1.2", ("10.96.1.1", 80)),
    Case { new: true, ..case("pod to ClusterIP, new flow", Hook::FromPod, "10.244.1.2", ("10.96.1.1", 80)) },
    case("pod into the tunnel", Hook::FromPod, "10.244.1.2", ("10.244.2.5", 8080)),
    case("out of the tunnel to a pod", Hook::FromVxlan, "10.244.2.5", ("10.244.1.2", 8080)),
    case("pod out of the cluster, masqueraded", Hook::FromPod, "10.244.1.2", ("203.0.113.9", 443)),
    case("from outside to a NodePort", Hook::FromOuter, "192.168.7.9", ("192.168.7.1", 30_080)),
];

pub fn run() -> Result<Value> {
    // The namespace is the thread's.
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).context("a network namespace of our own")?;
        measure()
    });
    thread.join().map_err(|_| anyhow::anyhow!("the measuring thread has ended"))?
}

fn measure() -> Result<Value> {
    let tables = tables()?;
    let setup = Setup { pins: None, cgroup_root: None, sizes: Sizes::default(), clsact: false };
    let mut ebpf = Ebpf::open(&setup)?;
    ebpf.apply(&tables, 0)?;
    let nothing = test_run::nothing()?;
    let mut model = Model::new(tables);
    let mut figures = Map::new();
    for case in CASES {
        let program = ebpf.program(case.hook)?;
        let (mut times, mut control) = (Vec::new(), Vec::new());
        let mut same = false;
        for round in 0..RUNS {
            let packet = packet(case, if case.new { FIRST_PORT + 1 + round } else { FIRST_PORT })?;
            let ran = test_run::run(program, &packet, HERE, 0, 1)?;
            if case.new || round == 0 {
                same = agree(&mut model, case, &packet, &ran)?;
            }
            if case.new || round > 0 {
                times.push(ran.duration_ns);
                control.push(test_run::run(nothing.as_fd(), &packet, HERE, 0, 1)?.duration_ns);
            }
        }
        let mut figure = figure(median(times), median(control));
        if same {
            let packet = packet(case, FIRST_PORT)?;
            let mean = |of| anyhow::Ok(test_run::run(of, &packet, HERE, 0, IN_A_ROW)?.duration_ns);
            figure["in_a_row"] = self::figure(mean(program)?, mean(nothing.as_fd())?);
        }
        figures.insert(case.name.to_owned(), figure);
    }
    Ok(json!({ "bench": "packets", "runs_of_each": RUNS, "in_a_row": IN_A_ROW, "p50_of": figures }))
}

fn figure(ns: u32, control_ns: u32) -> Value {
    json!({ "ns": ns, "control_ns": control_ns, "beyond_control_ns": ns.saturating_sub(control_ns) })
}

fn median(mut times: Vec<u32>) -> u32 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn tables() -> Result<Tables> {
    let facts = Facts { nat_ports: 61_000..=65_535, ..facts()? };
    let node = |name: &str, ip: &str, range: &str| {
        json!({ "metadata": { "name": name }, "spec": { "podCIDR": range, "podCIDRs": [range] },
                "status": { "addresses": [{ "type": "InternalIP", "address": ip }] } })
    };
    let service = json!({
        "metadata": { "namespace": "default", "name": "web" },
        "spec": { "type": "NodePort", "clusterIP": "10.96.1.1",
                  "ports": [{ "name": "", "protocol": "UDP", "port": 80, "nodePort": 30_080 }] },
    });
    let slice = json!({
        "metadata": { "namespace": "default", "name": "web-x",
                      "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4",
        "ports": [{ "name": "", "protocol": "UDP", "port": 8080 }],
        "endpoints": [{ "addresses": ["10.244.1.3"] }],
    });
    let views = Views {
        services: vec![serde_json::from_value(service)?],
        slices: vec![serde_json::from_value(slice)?],
        nodes: vec![
            serde_json::from_value(node("one", "192.168.7.1", "10.244.1.0/24"))?,
            serde_json::from_value(node("two", "192.168.7.2", "10.244.2.0/24"))?,
        ],
        ..Views::default()
    };
    let endpoint = |ifindex| Endpoint { ifindex, mac: [2, 0, 0, 0, 0, 1], ..Endpoint::default() };
    let endpoints = BTreeMap::from([
        (address("10.244.1.2")?, endpoint(HERE)),
        (address("10.244.1.3")?, endpoint(NOWHERE)),
    ]);
    let (tables, problems) = Tables::build(&facts, &views, &endpoints);
    ensure!(problems.is_empty(), "the tables lack {problems:?}");
    Ok(tables)
}

/// A datagram without content, addressed to whatever device it comes by.
fn packet(case: &Case, source_port: u16) -> Result<Vec<u8>> {
    const LENGTH: usize = 14 + 20 + 8;
    let mut frame = vec![0; LENGTH];
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    // IPv4 without options, 28 bytes long, one of which is how far it may go.
    frame[14] = 0x45;
    frame[17] = 28;
    frame[22] = 64;
    frame[23] = UDP;
    frame[39] = 8;
    // Any checksum but zero, which would say that there is none.
    frame[41] = 1;
    let tuple = Tuple {
        source: address(case.from)?,
        destination: address(case.to.0)?,
        source_port: Be16::new(source_port),
        destination_port: Be16::new(case.to.1),
        protocol: UDP,
        family: 4,
        ..Tuple::default()
    };
    Ok(rewrite(&frame, &tuple))
}

/// The model's choices, where it is free: as the programs made them.
struct Chosen(u16);

impl Chance for Chosen {
    fn backend(&mut self, _: &[Backend]) -> usize {
        0
    }

    fn port(&mut self) -> u16 {
        self.0
    }
}

/// No figure is of a packet that was refused or went astray: the reference model says what must come of it. Whether it
/// leaves as it came.
fn agree(model: &mut Model, case: &Case, packet: &[u8], ran: &test_run::Ran) -> Result<bool> {
    const REDIRECT: i32 = 7;
    let left = read(&ran.packet).with_context(|| format!("{}: no packet left", case.name))?.tuple;
    let arrival = Arrival { hook: case.hook, ifindex: HERE, packet };
    let said = model.judge(arrival, &mut Chosen(left.source_port.get()));
    let goes = matches!(said.verdict, Verdict::Pod(_) | Verdict::Tunnel(_) | Verdict::Outer);
    let tuple = read(&said.packet).map(|headers| headers.tuple);
    ensure!(
        goes && ran.action == REDIRECT && tuple == Some(left),
        "{}: the program does {} with {left:?}, the model says {:?} as {tuple:?}",
        case.name,
        ran.action,
        said.verdict,
    );
    Ok(read(packet).is_some_and(|sent| sent.tuple == left))
}
