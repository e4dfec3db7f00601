//! The endpoints a Service should have: one per pod, grouped by address family and resolved ports.

use keelson_client::views::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, Hint, IntOrString, Pod, Service, ServicePort,
    TargetRef,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Endpoints of one slice family: `IPv4` or `IPv6`, and their ports.
pub(super) type Groups = BTreeMap<(String, Vec<EndpointPort>), Vec<Endpoint>>;

/// Whether a pod is an endpoint at all: it has an address and has not ended.
pub(crate) fn is_endpoint(pod: &Pod) -> bool {
    !pod.is_terminal() && pod.ips().next().is_some()
}

/// The address families of a Service's slices.
pub(super) fn address_types(service: &Service) -> Vec<&'static str> {
    let families: Vec<&str> =
        service.spec.ip_families.iter().map(|f| if f == "IPv6" { "IPv6" } else { "IPv4" }).collect();
    match families.as_slice() {
        [] if service.spec.cluster_ip.contains(':') => vec!["IPv6"],
        [] => vec!["IPv4"],
        many if many.contains(&"IPv4") && many.contains(&"IPv6") => vec!["IPv4", "IPv6"],
        ["IPv6", ..] => vec!["IPv6"],
        _ => vec!["IPv4"],
    }
}

pub(super) fn groups(service: &Service, pods: &[Arc<Pod>], zone: &dyn Fn(&str) -> Option<String>) -> Groups {
    let mut groups = Groups::new();
    for pod in pods.iter().filter(|p| is_endpoint(p)) {
        let ports = resolve_ports(service, pod);
        for address_type in address_types(service) {
            if let Some(endpoint) = endpoint(service, pod, address_type, zone) {
                groups.entry((address_type.to_owned(), ports.clone())).or_default().push(endpoint);
            }
        }
    }
    groups
}

fn endpoint(
    service: &Service,
    pod: &Pod,
    address_type: &str,
    zone: &dyn Fn(&str) -> Option<String>,
) -> Option<Endpoint> {
    let is_v6 = |ip: &&str| ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6() == (address_type == "IPv6"));
    let address = pod.ips().find(is_v6)?;
    let (serving, terminating) = (pod.is_ready(), pod.metadata.is_deleting());
    let ready = service.spec.publish_not_ready_addresses || (serving && !terminating);
    let node = (!pod.spec.node_name.is_empty()).then(|| pod.spec.node_name.clone());
    let zone = node.as_deref().and_then(zone);
    Some(Endpoint {
        addresses: vec![address.to_owned()],
        conditions: EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        },
        hostname: hostname(service, pod),
        target_ref: Some(target(pod)),
        hints: hints(service, ready, zone.as_deref(), node.as_deref()),
        zone,
        node_name: node,
    })
}

/// For whom an endpoint is meant, by the Service's trafficDistribution (KEP-4444, KEP-3015): its own zone, and with
/// `PreferSameNode` its own node before that. Only what is ready has hints; readers look at no others.
fn hints(service: &Service, ready: bool, zone: Option<&str>, node: Option<&str>) -> Option<EndpointHints> {
    let same_node = match service.spec.traffic_distribution.as_deref() {
        Some("PreferClose" | "PreferSameZone") => false,
        Some("PreferSameNode") => true,
        _ => return None,
    };
    let named = |name: Option<&str>| name.map(|name| Hint { name: name.to_owned() }).into_iter().collect();
    let hints = EndpointHints { for_zones: named(zone), for_nodes: named(node.filter(|_| same_node)) };
    (ready && hints != EndpointHints::default()).then_some(hints)
}

pub(crate) fn target(pod: &Pod) -> TargetRef {
    TargetRef {
        kind: "Pod".to_owned(),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
    }
}

/// A pod has a name under a headless Service when its subdomain is the Service's name.
pub(crate) fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let named = !pod.spec.hostname.is_empty() && pod.spec.subdomain == service.metadata.name;
    named.then(|| pod.spec.hostname.clone())
}

/// The Service's ports as this pod has them; ports whose name the pod lacks are left out.
pub(crate) fn resolve_ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let resolved = service.spec.ports.iter().filter_map(|port| {
        Some(EndpointPort {
            name: port.name.clone(),
            protocol: protocol(&port.protocol).to_owned(),
            port: Some(target_port(port, pod)?),
            app_protocol: port.app_protocol.clone(),
        })
    });
    let mut ports: Vec<EndpointPort> = resolved.collect();
    ports.sort();
    ports
}

fn protocol(protocol: &str) -> &str {
    if protocol.is_empty() { "TCP" } else { protocol }
}

fn target_port(service_port: &ServicePort, pod: &Pod) -> Option<u16> {
    let name = match &service_port.target_port {
        IntOrString::Int(0) => return Some(service_port.port),
        IntOrString::Int(number) => return u16::try_from(*number).ok(),
        IntOrString::String(name) => name,
    };
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let mut ports = pod.spec.containers.iter().chain(sidecars).flat_map(|c| &c.ports);
    let wanted = protocol(&service_port.protocol);
    ports.find(|p| p.name == *name && protocol(&p.protocol) == wanted).map(|p| p.container_port)
}
