//! Whether a pod that was bound to this node fits on it. Pure.
//!
//! The scheduler has asked the same; pods that name their node themselves have not been asked.

use super::placement::{Place, is_wanted, ports_clash};
use super::quantity::{pod_cpu_request_milli, pod_memory_request_bytes};
use super::spec::Pod;

/// What the node gives to pods.
#[derive(Clone, Copy, Debug)]
pub struct Allocatable {
    pub pods: usize,
    pub cpu_milli: i64,
    pub memory_bytes: i64,
}

/// Why a pod may not run here: the reason (`OutOfcpu` ...) and its words.
pub type Refusal = (&'static str, String);

/// The reason when a pod's node selector or affinity does not allow the node.
pub const NODE_AFFINITY: &str = "NodeAffinity";

/// Refuses `pod` beside the pods that are here.
pub fn admit<'a>(
    pod: &Pod,
    others: impl Iterator<Item = &'a Pod>,
    node: Allocatable,
    place: Place<'_>,
) -> Result<(), Refusal> {
    let (mut count, mut cpu, mut memory, mut clash) = (0, 0, 0, false);
    for other in others {
        count += 1;
        clash |= ports_clash(pod, other);
        cpu += pod_cpu_request_milli(other);
        memory += pod_memory_request_bytes(other);
    }
    let refuse = |reason: &'static str, what: &str, asked: i64, used: i64, capacity: i64| {
        let message = format!(
            "Node didn't have enough resource: {what}, requested: {asked}, used: {used}, capacity: {capacity}"
        );
        Err((reason, message))
    };
    if count >= node.pods {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        return refuse("OutOfpods", "pods", 1, number(count), number(node.pods));
    }
    let asked = pod_cpu_request_milli(pod);
    if asked > 0 && cpu + asked > node.cpu_milli {
        return refuse("OutOfcpu", "cpu", asked, cpu, node.cpu_milli);
    }
    let asked = pod_memory_request_bytes(pod);
    if asked > 0 && memory + asked > node.memory_bytes {
        return refuse("OutOfmemory", "memory", asked, memory, node.memory_bytes);
    }
    let predicate =
        |name: &'static str, words: &str| Err((name, format!("Predicate {name} failed: {words}")));
    if !is_wanted(pod, place) {
        return predicate(NODE_AFFINITY, "node(s) didn't match Pod's node affinity/selector");
    }
    if clash {
        return predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_of_the_node() {
        let pod = |cpu: &str, memory: &str| -> Pod {
            let requests = json!({"cpu": cpu, "memory": memory});
            serde_json::from_value(json!({"spec": {"containers": [{"resources": {"requests": requests}}]}}))
                .unwrap()
        };
        let node = Allocatable { pods: 2, cpu_milli: 1000, memory_bytes: 1 << 20 };
        let check = |others: &[Pod], new: Pod, expect: Option<&str>| {
            let place = Place { name: "n", labels: &Default::default() };
            assert_eq!(admit(&new, others.iter(), node, place).err().map(|e| e.0), expect);
        };
        check(&[], pod("1", "1Mi"), None);
        check(&[pod("500m", "0")], pod("501m", "0"), Some("OutOfcpu"));
        check(&[pod("0", "1Ki")], pod("0", "1Mi"), Some("OutOfmemory"));
        check(&[pod("0", "0"), pod("0", "0")], pod("0", "0"), Some("OutOfpods"));
        check(&[pod("2", "0")], pod("0", "0"), None);
        let with = |spec| -> Pod { serde_json::from_value(json!({"spec": spec})).unwrap() };
        let port = || with(json!({"containers": [{"ports": [{"hostPort": 80}]}]}));
        check(&[], port(), None);
        check(&[port()], port(), Some("NodePorts"));
        check(&[], with(json!({"nodeSelector": {"a": "b"}})), Some("NodeAffinity"));
    }
}
