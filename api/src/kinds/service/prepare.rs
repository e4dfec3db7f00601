//! What a service gets before it is validated: defaults, and what the stored one has been given.

use super::allocation::{needs_health_check_node_port, needs_node_ports, uses_cluster_ip};
use crate::validation::value::{
    at, default_empty_to, default_to, dig, int, list, list_mut, object_mut, remove, same, set, text,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long a client sticks to an endpoint, in seconds: three hours.
const AFFINITY_SECONDS: i64 = 10_800;

/// Whether a service of this spec can be reached from outside.
pub(super) fn is_external(spec: &Value) -> bool {
    match text(spec, "type") {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !list(spec, "externalIPs").is_empty(),
        _ => false,
    }
}

pub(super) fn default_spec(spec: &mut Value) {
    default_empty_to(spec, "sessionAffinity", "None");
    match text(spec, "sessionAffinity") {
        "None" => {
            remove(spec, "sessionAffinityConfig");
        }
        "ClientIP" if dig(spec, &["sessionAffinityConfig", "clientIP", "timeoutSeconds"]).is_null() => {
            let config = json!({"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}});
            set(spec, "sessionAffinityConfig", config);
        }
        _ => {}
    }
    default_empty_to(spec, "type", "ClusterIP");
    for port in list_mut(spec, "ports") {
        default_empty_to(port, "protocol", "TCP");
        let number = int(port, "port").unwrap_or_default();
        default_empty_to(port, "targetPort", number);
    }
    if is_external(spec) {
        default_empty_to(spec, "externalTrafficPolicy", "Cluster");
    }
    if uses_cluster_ip(spec) {
        default_to(spec, "internalTrafficPolicy", "Cluster");
    }
    if text(spec, "type") == "LoadBalancer" {
        default_to(spec, "allocateLoadBalancerNodePorts", true);
    }
}

pub(super) fn default_status(status: &mut Value) {
    if let Some(balancer) = object_mut(status, "loadBalancer") {
        for ingress in list_mut(balancer, "ingress") {
            if !text(ingress, "ip").is_empty() {
                default_to(ingress, "ipMode", "VIP");
            }
        }
    }
}

/// Makes `clusterIP` and the first of `clusterIPs` agree where the client has set only one of them.
pub(super) fn normalize_cluster_ips(new: &mut Value, old: Option<&Value>) {
    let Some(spec) = object_mut(new, "spec") else { return };
    let ip = text(spec, "clusterIP").to_owned();
    let Some(old) = old else {
        if !ip.is_empty() && list(spec, "clusterIPs").is_empty() {
            set(spec, "clusterIPs", vec![ip]);
        }
        return;
    };
    let was = at(old, "spec");
    let changed = ip != text(was, "clusterIP");
    let list_changed = !same(at(spec, "clusterIPs"), at(was, "clusterIPs"));
    if changed && !list_changed {
        if ip.is_empty() {
            remove(spec, "clusterIPs");
        } else {
            set(spec, "clusterIPs", vec![ip]);
        }
    } else if changed && list(spec, "clusterIPs").is_empty() && !ip.is_empty() {
        set(spec, "clusterIPs", vec![ip]);
    } else if !changed && list(spec, "clusterIPs").is_empty() {
        remove(spec, "clusterIP");
    }
}

/// Gives an update that leaves them out the addresses and ports that the service has.
pub(super) fn keep_allocated(new: &mut Value, old: &Value) {
    let Some(spec) = object_mut(new, "spec") else { return };
    let was = at(old, "spec");
    if uses_cluster_ip(was) && uses_cluster_ip(spec) {
        if text(spec, "clusterIP").is_empty() {
            set(spec, "clusterIP", text(was, "clusterIP"));
        }
        if list(spec, "clusterIPs").is_empty() && text(spec, "clusterIP") == text(was, "clusterIP") {
            set(spec, "clusterIPs", at(was, "clusterIPs").clone());
        }
    }
    if needs_node_ports(was) && needs_node_ports(spec) {
        keep_node_ports(spec, was);
    }
    if needs_health_check_node_port(was)
        && needs_health_check_node_port(spec)
        && int(spec, "healthCheckNodePort").unwrap_or_default() == 0
    {
        set(spec, "healthCheckNodePort", at(was, "healthCheckNodePort").clone());
    }
}

fn keep_node_ports(spec: &mut Value, was: &Value) {
    let node_port = |port: &Value| int(port, "nodePort").filter(|port| *port != 0);
    let before = list(was, "ports").iter().filter_map(node_port).collect::<Vec<_>>();
    let used = list(spec, "ports").iter().filter_map(node_port).filter(|port| before.contains(port));
    let used = used.collect::<Vec<_>>();
    let by_name = list(was, "ports")
        .iter()
        .filter_map(|port| Some((text(port, "name").to_owned(), node_port(port)?)))
        .collect::<BTreeMap<_, _>>();
    for port in list_mut(spec, "ports") {
        let kept = by_name.get(text(port, "name")).filter(|kept| !used.contains(kept));
        if let Some(kept) = kept.filter(|_| node_port(port).is_none()) {
            set(port, "nodePort", *kept);
        }
    }
}

/// Drops, on a change of type, what the new type does not have and the client has left as it was.
pub(super) fn drop_what_the_type_lacks(new: &mut Value, old: &Value) {
    let Some(spec) = object_mut(new, "spec") else { return };
    let was = at(old, "spec");
    let mut fields: Vec<&str> = Vec::new();
    if uses_cluster_ip(was) && !uses_cluster_ip(spec) {
        if same(at(spec, "clusterIPs"), at(was, "clusterIPs")) {
            fields.push("clusterIP");
        }
        fields.extend(["clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]);
    }
    if needs_health_check_node_port(was) && !needs_health_check_node_port(spec) {
        fields.push("healthCheckNodePort");
    }
    if text(was, "type") == "LoadBalancer" && text(spec, "type") != "LoadBalancer" {
        fields.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    if is_external(was) && !is_external(spec) {
        fields.push("externalTrafficPolicy");
    }
    let ports_too = needs_node_ports(was) && !needs_node_ports(spec) && same_node_ports(spec, was);
    for field in fields {
        if same(at(spec, field), at(was, field)) {
            remove(spec, field);
        }
    }
    if ports_too {
        for port in list_mut(spec, "ports") {
            remove(port, "nodePort");
        }
    }
}

fn same_node_ports(spec: &Value, was: &Value) -> bool {
    let ports = |spec: &Value| {
        let ports =
            list(spec, "ports").iter().filter_map(|port| int(port, "nodePort")).filter(|port| *port != 0);
        ports.collect::<std::collections::BTreeSet<_>>()
    };
    ports(spec) == ports(was)
}
