//! What a pod asks of its node beside room: labels, and ports that nobody else has. Pure.

use super::spec::Pod;
use keelson_client::views::NodeSelectorTerm;
use std::collections::BTreeMap;

/// The node as selectors see it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub name: &'a str,
    pub labels: &'a BTreeMap<String, String>,
}

/// Whether the pod's node selector and its required node affinity allow the node.
pub fn is_wanted(pod: &Pod, node: Place<'_>) -> bool {
    let selector = &pod.spec.node_selector;
    if !selector.iter().all(|(key, value)| node.labels.get(key) == Some(value)) {
        return false;
    }
    let affinity = pod.spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|r| r.node_selector_terms.iter().any(|term| matches(term, node)))
}

/// A term without any expression matches no node.
fn matches(term: &NodeSelectorTerm, node: Place<'_>) -> bool {
    let field = |key: &str| (key == "metadata.name").then_some(node.name);
    !(term.match_expressions.is_empty() && term.match_fields.is_empty())
        && term.match_expressions.iter().all(|e| e.matches(node.labels))
        && term.match_fields.iter().all(|e| e.matches_value(field(&e.key)))
}

/// A port of the node as a pod holds it: protocol, address, number.
type HostPort<'a> = (&'a str, &'a str, i32);

/// Init containers that stay hold their ports too; those that end before the pod runs do not.
fn host_ports(pod: &Pod) -> impl Iterator<Item = HostPort<'_>> {
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.is_sidecar());
    sidecars.chain(&pod.spec.containers).flat_map(|c| &c.ports).filter(|p| p.host_port > 0).map(|p| {
        let protocol = if p.protocol.is_empty() { "TCP" } else { p.protocol.as_str() };
        (protocol, if p.host_ip.is_empty() { ANY } else { p.host_ip.as_str() }, p.host_port)
    })
}

const ANY: &str = "0.0.0.0";

/// Whether two pods ask for the same port of the node; one on all addresses meets one on any.
pub fn ports_clash(pod: &Pod, other: &Pod) -> bool {
    host_ports(pod).any(|(protocol, ip, port)| {
        host_ports(other).any(|(theirs, their_ip, their_port)| {
            let meet = [ANY, "::"].contains(&ip) || [ANY, "::"].contains(&their_ip) || ip == their_ip;
            protocol == theirs && port == their_port && meet
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"spec": spec})).unwrap()
    }

    #[test]
    fn selectors_and_affinity() {
        let labels =
            BTreeMap::from([("disk".to_owned(), "ssd".to_owned()), ("n".to_owned(), "5".to_owned())]);
        let node = Place { name: "node1", labels: &labels };
        let check = |spec: Value, expect: bool| {
            assert_eq!(is_wanted(&pod(spec.clone()), node), expect, "{spec}");
        };
        check(json!({}), true);
        check(json!({"nodeSelector": {"disk": "ssd"}}), true);
        check(json!({"nodeSelector": {"disk": "hdd"}}), false);
        let affinity = |terms: Value| {
            json!({"affinity": {"nodeAffinity":
                {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
        };
        let label = |operator: &str, key: &str, values: Value| json!([{"key": key, "operator": operator, "values": values}]);
        let by_label = |e: Value| affinity(json!([{"matchExpressions": e}]));
        check(by_label(label("In", "disk", json!(["ssd", "nvme"]))), true);
        check(by_label(label("NotIn", "disk", json!(["ssd"]))), false);
        check(by_label(label("Exists", "disk", json!([]))), true);
        check(by_label(label("DoesNotExist", "disk", json!([]))), false);
        check(by_label(label("Gt", "n", json!(["4"]))), true);
        check(by_label(label("Lt", "n", json!(["5"]))), false);
        let by_name = |name: &str| json!({"matchFields": label("In", "metadata.name", json!([name]))});
        check(affinity(json!([by_name("node1")])), true);
        check(affinity(json!([by_name("node2")])), false);
        check(affinity(json!([by_name("node2"), by_name("node1")])), true);
        check(affinity(json!([{}])), false);
        check(affinity(json!([])), false);
    }

    #[test]
    fn ports() {
        let on = |list: Value| pod(json!({"containers": [{"ports": list}]}));
        let check = |a: Value, b: Value, expect: bool| {
            assert_eq!(ports_clash(&on(a.clone()), &on(b.clone())), expect, "{a} {b}");
            assert_eq!(ports_clash(&on(b), &on(a)), expect);
        };
        let port = |port: i32, protocol: &str, ip: &str| json!([{"containerPort": 1, "hostPort": port, "protocol": protocol, "hostIP": ip}]);
        check(port(80, "TCP", ""), port(80, "TCP", ""), true);
        check(port(80, "", ""), port(80, "TCP", "10.0.0.1"), true);
        check(port(80, "TCP", "10.0.0.1"), port(80, "TCP", "10.0.0.2"), false);
        check(port(80, "TCP", "10.0.0.1"), port(80, "TCP", "10.0.0.1"), true);
        check(port(80, "TCP", ""), port(80, "UDP", ""), false);
        check(port(80, "TCP", ""), port(81, "TCP", ""), false);
        check(port(80, "TCP", ""), json!([{"containerPort": 80}]), false);
        let init = |policy: Value| {
            pod(json!({"initContainers": [{"restartPolicy": policy, "ports": port(80, "TCP", "")}]}))
        };
        assert!(ports_clash(&init(json!("Always")), &on(port(80, "TCP", ""))));
        assert!(!ports_clash(&init(json!(null)), &on(port(80, "TCP", ""))));
    }
}
