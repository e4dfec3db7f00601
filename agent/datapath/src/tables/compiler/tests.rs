//! What is kept must be what a fresh start would make.

use super::*;
use crate::plan::Placement;
use crate::tables::tests::{address, facts, node, service, slice, view};
use keelson_client::views::Pod;
use serde_json::json;

/// A small cluster that changes: services by number, each with some endpoints.
fn views(content: &[(u8, &[u8])]) -> Views {
    let mut views = Views { nodes: vec![node("one", "192.168.7.1", "10.244.0.0/24")], ..Views::default() };
    for (number, hosts) in content {
        let (service, slice) = web(*number, hosts);
        views.services.push(service);
        views.slices.push(slice);
    }
    views
}

fn web(number: u8, hosts: &[u8]) -> (Arc<Service>, Arc<EndpointSlice>) {
    let name = format!("web{number}");
    let port = json!({"name": "", "protocol": "TCP", "port": 80, "nodePort": 30_000 + u16::from(number)});
    // Two of them want the same external address.
    let external = if number < 3 { json!(["198.51.100.9"]) } else { json!([]) };
    let spec = json!({"type": "NodePort", "clusterIP": format!("10.96.1.{number}"), "externalIPs": external, "ports": [port]});
    let endpoints: Vec<_> =
        hosts.iter().map(|host| json!({"addresses": [format!("10.244.0.{host}")]})).collect();
    (
        service(&name, spec),
        slice(&name, json!([{"name": "", "protocol": "TCP", "port": 80}]), json!(endpoints)),
    )
}

fn pod(name: &str, host_port: u16, last: u8) -> LocalPod {
    let pod: Arc<Pod> = view(json!({
        "metadata": {"namespace": "default", "name": name, "uid": name},
        "spec": {"containers": [{"ports": [{"containerPort": 80, "hostPort": host_port}]}]},
    }));
    LocalPod { pod, address: address(&format!("10.244.0.{last}")) }
}

#[test]
fn changes_lead_to_what_a_fresh_start_would_make() {
    let mut compiler = Compiler::new(facts());
    let mut now = views(&[(1, &[1, 2]), (2, &[3]), (3, &[4])]);
    compiler.set_views(&now);
    let fresh = |views: &Views| Tables::build(&facts(), views, &BTreeMap::new());
    let steps: &[(u8, Option<&[u8]>)] = &[
        (2, Some(&[3, 9])),
        (1, None),
        (4, Some(&[7])),
        (1, Some(&[1])),
        (3, Some(&[])),
        (2, None),
        (4, None),
    ];
    for (number, hosts) in steps {
        let name = format!("web{number}");
        now.services.retain(|service| service.metadata.name != name);
        now.slices.retain(|slice| slice.service_name() != Some(&name));
        let mut changed = ServiceView { key: Key::new("default", &name), service: None, slices: Vec::new() };
        if let Some(hosts) = hosts {
            let (service, slice) = web(*number, hosts);
            now.services.push(service.clone());
            now.slices.push(slice.clone());
            (changed.service, changed.slices) = (Some(service), vec![slice]);
        }
        let before = compiler.tables().services.clone();
        compiler.take_touched();
        compiler.set_service(changed);
        let (tables, problems) = fresh(&now);
        assert_eq!((compiler.tables(), compiler.problems()), (&tables, problems), "{name} {hosts:?}");
        // Exactly what differs is said to differ.
        let all = before.keys().chain(tables.services.keys());
        let differing: BTreeSet<_> =
            all.filter(|key| before.get(key) != tables.services.get(key)).copied().collect();
        assert_eq!(compiler.take_touched().services, differing, "{name} {hosts:?}");
    }
    compiler.set_views(&views(&[(5, &[1])]));
    assert_eq!(compiler.tables(), &fresh(&views(&[(5, &[1])])).0, "what is not listed is gone");
}

#[test]
fn host_ports_come_and_go_with_their_pods() {
    let mut compiler = Compiler::new(facts());
    let shown = |compiler: &Compiler| -> Vec<String> {
        let services = compiler.tables().services.iter().filter(|(key, _)| key.scope == ServiceKey::OUTSIDE);
        services.map(|(key, port)| format!("{} {}", key.port.get(), port.backends[0].address)).collect()
    };
    let steps: &[(&[LocalPod], &[&str])] = &[
        (&[pod("a", 80, 1), pod("b", 81, 2)], &["80 10.244.0.1", "81 10.244.0.2"]),
        (&[pod("a", 80, 1)], &["80 10.244.0.1"]),
        // The same pod in a new sandbox, and two that want one port.
        (&[pod("a", 80, 5), pod("c", 80, 6)], &["80 10.244.0.5"]),
        (&[pod("c", 80, 6)], &["80 10.244.0.6"]),
        (&[], &[]),
    ];
    for (pods, expected) in steps {
        compiler.set_pods(pods);
        assert_eq!(shown(&compiler), *expected);
    }
}

#[test]
fn a_node_that_moves_to_another_zone_is_noticed() {
    let mut compiler = Compiler::new(facts());
    let own = |zone: &str| {
        view(json!({"metadata": {"name": "one", "labels": {"topology.kubernetes.io/zone": zone}}}))
    };
    assert!(compiler.set_nodes(&[own("z1")]));
    assert!(!compiler.set_nodes(&[own("z1"), node("two", "192.168.7.2", "10.244.1.0/24")]));
    assert!(compiler.set_nodes(&[own("z2")]));
}

/// What is written for one changed Service, found by what was touched, is what comparing everything finds.
#[test]
fn a_change_is_planned_as_if_all_were_compared() {
    let before: &[(u8, &[u8])] = &[(1, &[1, 2]), (2, &[3]), (3, &[4])];
    let changes: &[(&[u8], usize)] = &[
        // Its backends, then where it is asked: its own address, and from both sides the external one and the NodePort.
        (&[1, 9], 6),
        // Backends that another service has are not written again.
        (&[4], 5),
        (&[1, 2], 0),
    ];
    for (hosts, writes) in changes {
        let (mut kept, mut placement) = (Compiler::new(facts()), Placement::new(65_536));
        kept.set_views(&views(before));
        placement.plan(&kept.tables().services, 0).unwrap();
        kept.take_touched();
        let mut whole = placement.clone();
        let (service, slice) = web(1, hosts);
        kept.set_service(ServiceView {
            key: service.metadata.key(),
            service: Some(service),
            slices: vec![slice],
        });
        let touched = kept.take_touched().services;
        let part = placement.plan_keys(&kept.tables().services, touched.iter(), 0).unwrap();
        let after = Tables::build(&facts(), &views(&[(1, hosts), before[1], before[2]]), &BTreeMap::new()).0;
        assert_eq!(part, whole.plan(&after.services, 0).unwrap(), "{hosts:?}");
        assert_eq!(part.writes.len(), *writes, "{hosts:?}: {:?}", part.writes);
    }
}

fn policy(sets: &[(&str, u32)]) -> Policy {
    Policy { sets: sets.iter().map(|(pod, set)| (address(pod), *set)).collect() }
}

/// What the policies come to, the pods' networks, what stands in the rows, the epoch.
#[test]
fn the_rows_carry_their_policys_sets_and_each_policy_begins_an_epoch() {
    const A: &str = "10.244.0.2";
    const B: &str = "10.244.0.3";
    type Step<'a> = (&'a [(&'a str, u32)], &'a [&'a str], &'a [(&'a str, u32)], u32);
    let steps: &[Step<'_>] = &[
        (&[], &[], &[], 1),
        (&[], &[A], &[(A, 0)], 1),
        (&[(A, 7)], &[A], &[(A, 7)], 2),
        // A pod that comes finds its set; its flows are new.
        (&[(A, 7)], &[A, B], &[(A, 7), (B, 0)], 2),
        (&[(A, 7), (B, 9)], &[A, B], &[(A, 7), (B, 9)], 3),
        (&[(A, 7), (B, 9)], &[B], &[(B, 9)], 3),
        (&[(A, 7), (B, 9)], &[A, B], &[(A, 7), (B, 9)], 3),
        (&[], &[A, B], &[(A, 0), (B, 0)], 4),
    ];
    let mut compiler = Compiler::new(facts());
    assert_eq!(compiler.tables().config.policy_epoch, 0, "nobody knows a policy yet");
    for (number, (sets, pods, rows, epoch)) in steps.iter().enumerate() {
        // Whoever says where a pod is knows nothing of its set.
        let network = |ifindex: u32| Endpoint { ifindex, policy_set: 99, ..Endpoint::default() };
        let networks = pods.iter().map(|pod| (address(pod), network(5))).collect();
        let before = compiler.tables().clone();
        compiler.take_touched();
        compiler.set_views(&Views { policy: policy(sets), ..Views::default() });
        compiler.set_endpoints(&networks);
        let tables = compiler.tables();
        let shown: Vec<_> = tables.endpoints.iter().map(|(pod, row)| (*pod, row.policy_set)).collect();
        let expected: Vec<_> = rows.iter().map(|(pod, set)| (address(pod), *set)).collect();
        assert_eq!((shown, tables.config.policy_epoch), (expected, *epoch), "step {number}");
        for (pod, row) in &tables.endpoints {
            assert_eq!(compiler.row(*pod, &network(5)), *row, "step {number}: what ADD writes");
        }
        let changed = before != *compiler.tables();
        assert_eq!(compiler.take_touched().others, changed, "step {number}");
    }
}

/// An earlier agent's flows carry epochs up to the one that it has left; none of them may seem judged by this agent.
#[test]
fn the_epoch_goes_on_from_an_earlier_agents() {
    for (left, first, second) in [(0, 1, 2), (41, 42, 43), (u32::MAX, 0, 1)] {
        let mut compiler = Compiler::new(facts());
        compiler.resume_epoch(left);
        assert_eq!(compiler.tables().config.policy_epoch, left, "no views yet");
        for (sets, epoch) in [(&[][..], first), (&[], first), (&[("10.244.0.2", 7)], second)] {
            compiler.set_views(&Views { policy: policy(sets), ..Views::default() });
            assert_eq!(compiler.tables().config.policy_epoch, epoch, "after {left}, {sets:?}");
        }
    }
}
