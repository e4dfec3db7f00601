//! Policy sets and epochs on a whole node: from the views by the engine into the maps, and by packets into the flows.
//! Nothing is enforced, so all packets get through.

use super::scenarios::Cluster;
use super::{Pod, probe};
use crate::engine::Mode;
use crate::model::Mark;
use crate::tables::tests::{address, node};
use crate::tables::{Policy, Views};
use std::collections::BTreeMap;

fn set_policy(cluster: &Cluster, sets: &[(&Pod, u32)]) {
    let sets = sets.iter().map(|(pod, set)| (address(&pod.ip), *set)).collect();
    let nodes = vec![node("n1", "192.168.7.1", "10.244.1.0/24")];
    cluster.nodes[0].set_views(Views { nodes, policy: Policy { sets }, ..Views::default() });
}

/// The sets of the pods as the programs find them.
fn sets(cluster: &Cluster, pods: &[&Pod]) -> Vec<u32> {
    let sets: BTreeMap<_, _> = cluster.nodes[0].with(|engine, _| engine.ebpf().unwrap().policy_sets());
    pods.iter().map(|pod| sets[&address(&pod.ip)]).collect()
}

fn epoch(cluster: &Cluster) -> u32 {
    cluster.nodes[0].with(|engine, _| engine.ebpf().unwrap().policy_epoch().unwrap())
}

/// What both entries of the only flow to or from a port say.
fn mark(cluster: &Cluster, port: u16) -> Mark {
    let marks = cluster.nodes[0].with(|engine, _| engine.ebpf().unwrap().marks());
    let of_port = marks
        .iter()
        .filter(|(tuple, _)| [tuple.source_port, tuple.destination_port].iter().any(|end| end.get() == port));
    let marks: Vec<_> = of_port.map(|(_, mark)| *mark).collect();
    assert_eq!(marks.len(), 2, "{marks:?}");
    assert_eq!(marks[0], marks[1], "both entries");
    marks[0]
}

#[test]
fn flows_carry_their_pods_set_through_epochs_and_agents() {
    let mut cluster = Cluster::new(1, Mode::Ebpf);
    assert_eq!(epoch(&cluster), 1, "the first views");
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(0, "b"));
    assert_eq!(sets(&cluster, &[&a, &b]), [0, 0], "no policy selects them");

    let mut held = probe::Held::open(&a.namespace, &b.namespace, &format!("{}:7070", b.ip), 7070);
    held.say("without a policy");
    assert_eq!(mark(&cluster, 7070), Mark { set: 0, epoch: 1 });

    set_policy(&cluster, &[(&a, 7), (&b, 9)]);
    assert_eq!((sets(&cluster, &[&a, &b]), epoch(&cluster)), (vec![7, 9], 2));
    assert_eq!(mark(&cluster, 7070), Mark { set: 0, epoch: 1 }, "until its next packet");
    held.say("in the second epoch");
    assert_eq!(mark(&cluster, 7070), Mark { set: 7, epoch: 2 });

    // The same once more is no new epoch.
    set_policy(&cluster, &[(&a, 7), (&b, 9)]);
    assert_eq!(epoch(&cluster), 2);

    cluster.nodes[0].stop();
    cluster.nodes[0].start();
    assert_eq!(epoch(&cluster), 2, "the new agent has no views yet");
    assert_eq!(sets(&cluster, &[&a, &b]), [7, 9], "what is there stays");
    held.say("before the views are back");
    assert_eq!(mark(&cluster, 7070), Mark { set: 7, epoch: 2 });
    set_policy(&cluster, &[(&a, 8), (&b, 9)]);
    assert_eq!((sets(&cluster, &[&a, &b]), epoch(&cluster)), (vec![8, 9], 3));
    held.say("after");
    assert_eq!(mark(&cluster, 7070), Mark { set: 8, epoch: 3 });
}

/// The address of a pod that is still to come is known: it is the next one.
#[test]
fn a_pod_has_its_set_when_add_returns() {
    let cluster = Cluster::new(1, Mode::Ebpf);
    let first = cluster.pod(0, "first");
    let last: u8 = first.ip.rsplit('.').next().unwrap().parse().unwrap();
    let nodes = vec![node("n1", "192.168.7.1", "10.244.1.0/24")];
    let sets = (last..last + 4).map(|last| (address(&format!("10.244.1.{last}")), u32::from(last))).collect();
    cluster.nodes[0].set_views(Views { nodes, policy: Policy { sets }, ..Views::default() });
    let epoch_before = epoch(&cluster);
    let next = cluster.pod(0, "next");
    let number: u32 = next.ip.rsplit('.').next().unwrap().parse().unwrap();
    assert_eq!(self::sets(&cluster, &[&first, &next]), [u32::from(last), number]);
    assert_eq!(epoch(&cluster), epoch_before, "its flows are new");
}
