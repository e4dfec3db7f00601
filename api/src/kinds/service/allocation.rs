//! What a service needs of the shared pools of addresses and ports. The API server holds the pools.

use crate::field::{FieldError, Path};
use crate::validation::value::{at, flag, has, int, list, list_mut, object_mut, set, text, texts};
use serde_json::{Value, json};
use std::ops::RangeInclusive;

/// The node ports of a cluster.
pub const NODE_PORTS: RangeInclusive<u16> = 30000..=32767;

/// One port of a service that must have a node port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePortNeed {
    /// Its place in `spec.ports`.
    pub index: usize,
    /// The service port. Ports of other protocols with the same number share a node port where they can.
    pub port: i64,
    pub protocol: String,
    /// The node port that it has or the client asks for; `None` asks for any.
    pub wanted: Option<i64>,
}

/// Whether services of this spec's type have a cluster address (or say that they want none).
pub fn uses_cluster_ip(spec: &Value) -> bool {
    matches!(text(spec, "type"), "ClusterIP" | "NodePort" | "LoadBalancer")
}

/// Whether the service wants no cluster address: its names lead to its endpoints.
pub fn is_headless(service: &Value) -> bool {
    let spec = at(service, "spec");
    text(spec, "clusterIP") == "None" || texts(spec, "clusterIPs").first() == Some(&"None")
}

/// Whether the service must be given a cluster address: its type has one, and it has none yet.
pub fn needs_cluster_ip(service: &Value) -> bool {
    uses_cluster_ip(at(service, "spec")) && !is_headless(service) && cluster_ips(service).is_empty()
}

/// The cluster addresses that the service has or asks for; none for a headless one or an ExternalName.
pub fn cluster_ips(service: &Value) -> Vec<String> {
    let spec = at(service, "spec");
    if !uses_cluster_ip(spec) || is_headless(service) {
        return Vec::new();
    }
    texts(spec, "clusterIPs").into_iter().filter(|ip| !ip.is_empty()).map(str::to_owned).collect()
}

/// Whether the ports of this spec must have node ports.
pub fn needs_node_ports(spec: &Value) -> bool {
    match text(spec, "type") {
        "NodePort" => true,
        "LoadBalancer" => {
            !has(spec, "allocateLoadBalancerNodePorts") || flag(spec, "allocateLoadBalancerNodePorts")
        }
        _ => false,
    }
}

/// The ports of the service that must have a node port, or ask for a given one.
pub fn node_port_needs(service: &Value) -> Vec<NodePortNeed> {
    let spec = at(service, "spec");
    let all = needs_node_ports(spec);
    let takes_any = matches!(text(spec, "type"), "NodePort" | "LoadBalancer");
    let ports = list(spec, "ports").iter().enumerate().map(|(index, port)| NodePortNeed {
        index,
        port: int(port, "port").unwrap_or_default(),
        protocol: text(port, "protocol").to_owned(),
        wanted: int(port, "nodePort").filter(|port| *port != 0),
    });
    ports.filter(|need| all || (takes_any && need.wanted.is_some())).collect()
}

/// Whether the service must have a port for load balancers' health checks.
pub fn needs_health_check_node_port(spec: &Value) -> bool {
    text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

/// Writes an allocated cluster address.
pub fn set_cluster_ip(service: &mut Value, ip: &str) {
    if let Some(spec) = object_mut(service, "spec") {
        set(spec, "clusterIP", ip);
        set(spec, "clusterIPs", vec![ip]);
    }
}

/// Writes the node port of the port at `index`.
pub fn set_node_port(service: &mut Value, index: usize, node_port: u16) {
    if let Some(spec) = object_mut(service, "spec")
        && let Some(port) = list_mut(spec, "ports").nth(index)
    {
        set(port, "nodePort", node_port);
    }
}

fn cluster_ip_error(service: &Value, ip: &str, why: &str) -> FieldError {
    let path = Path::new("spec").child("clusterIPs");
    let shown = json!(texts(at(service, "spec"), "clusterIPs"));
    FieldError::invalid(&path, shown, format!("failed to allocate IP {ip}: {why}"))
}

/// The error of an address that another service has.
pub fn cluster_ip_taken(service: &Value, ip: &str) -> FieldError {
    cluster_ip_error(service, ip, "provided IP is already allocated")
}

/// The error of an address that is none of the cluster's.
pub fn cluster_ip_out_of_range(service: &Value, ip: &str) -> FieldError {
    cluster_ip_error(service, ip, "the provided network does not match the current range")
}

fn node_port_error(index: usize, port: i64, why: impl Into<String>) -> FieldError {
    FieldError::invalid(&Path::new("spec").child("ports").index(index).child("nodePort"), port, why)
}

/// The error of a node port that another service has.
pub fn node_port_taken(index: usize, port: i64) -> FieldError {
    node_port_error(index, port, "provided port is already allocated")
}

/// The error of a node port that is none of the cluster's.
pub fn node_port_out_of_range(index: usize, port: i64) -> FieldError {
    let (low, high) = (NODE_PORTS.start(), NODE_PORTS.end());
    let why = format!("provided port is not in the valid range. The range of valid ports is {low}-{high}");
    node_port_error(index, port, why)
}
