//! Services and EndpointSlices -> service ports with their backends.

use super::Problem;
use keelson_client::views::{Endpoint, EndpointSlice, Service, ServicePort as PortView};
use keelson_ebpf_abi::{Address, Backend, Be16, ServiceKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// Service ports by where clients knock; several keys of one port share its content.
pub type Services = BTreeMap<ServiceKey, Arc<ServicePort>>;

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// `namespace/name:port`.
    pub name: String,
    /// What answers, sorted and without repetition.
    pub backends: Vec<Backend>,
}

/// The label by which another proxy claims a Service.
const PROXY_LABEL: &str = "service.kubernetes.io/service-proxy-name";
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

type Slices<'a> = HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>;

/// Compiles every Service that has an address.
pub fn build(
    services: &[Arc<Service>],
    slices: &[Arc<EndpointSlice>],
    problems: &mut Vec<Problem>,
) -> Services {
    let mut by_service: Slices<'_> = HashMap::new();
    for slice in slices {
        if let Some(service) = slice.metadata.label(SERVICE_LABEL) {
            by_service.entry((&slice.metadata.namespace, service)).or_default().push(slice);
        }
    }
    let mut table = Services::new();
    for service in services {
        add(service, &by_service, &mut table, problems);
    }
    table
}

fn add(service: &Service, slices: &Slices<'_>, table: &mut Services, problems: &mut Vec<Problem>) {
    let meta = &service.metadata;
    if service.is_external_name() || service.is_headless() || meta.label(PROXY_LABEL).is_some() {
        return;
    }
    let addresses: Vec<Address> =
        service.cluster_ips().filter_map(|text| text.parse::<IpAddr>().ok()).map(Address::from).collect();
    let none = Vec::new();
    let slices = slices.get(&(meta.namespace.as_str(), meta.name.as_str())).unwrap_or(&none);
    for port in &service.spec.ports {
        let Some(protocol) = protocol(&port.protocol) else {
            let object = format!("Service {}/{}", meta.namespace, meta.name);
            problems.push(Problem { object, message: format!("unknown protocol {:?}", port.protocol) });
            continue;
        };
        let key = |address, port| ServiceKey { address, port: Be16::new(port), protocol, reserved: 0 };
        for address in &addresses {
            let compiled = compile(service, port, address.is_v4(), slices);
            table.insert(key(*address, port.port), compiled);
        }
        if port.node_port != 0 {
            let is_v4 = addresses.first().is_none_or(Address::is_v4);
            table.insert(key(Address::UNSPECIFIED, port.node_port), compile(service, port, is_v4, slices));
        }
    }
}

fn compile(service: &Service, port: &PortView, is_v4: bool, slices: &[&EndpointSlice]) -> Arc<ServicePort> {
    let meta = &service.metadata;
    let shown = if port.name.is_empty() { port.port.to_string() } else { port.name.clone() };
    let mut backends = backends(port, is_v4, slices, |endpoint| endpoint.conditions.is_ready());
    if backends.is_empty() {
        // A service whose last endpoints are on their way out still has those that answer.
        backends = self::backends(port, is_v4, slices, |endpoint| {
            endpoint.conditions.is_serving() && endpoint.conditions.is_terminating()
        });
    }
    let backends = backends.into_iter().collect();
    Arc::new(ServicePort { name: format!("{}/{}:{shown}", meta.namespace, meta.name), backends })
}

fn backends(
    port: &PortView,
    is_v4: bool,
    slices: &[&EndpointSlice],
    wanted: impl Fn(&Endpoint) -> bool,
) -> BTreeSet<Backend> {
    let mut found = BTreeSet::new();
    let family = if is_v4 { "IPv4" } else { "IPv6" };
    for slice in slices.iter().filter(|slice| slice.address_type == family) {
        let same = slice.ports.iter().find(|p| p.name == port.name && p.protocol == port.protocol);
        let Some(number) = same.and_then(|port| port.port) else { continue };
        for endpoint in slice.endpoints.iter().filter(|endpoint| wanted(endpoint)) {
            // The API: consumers take the first address, the others are of no defined meaning.
            let first = endpoint.addresses.first().and_then(|text| text.parse::<IpAddr>().ok());
            if let Some(ip) = first {
                let port = Be16::new(number);
                found.insert(Backend { address: Address::from(ip), port, reserved: 0, flags: 0 });
            }
        }
    }
    found
}

fn protocol(name: &str) -> Option<u8> {
    match name {
        "TCP" | "" => Some(6),
        "UDP" => Some(17),
        "SCTP" => Some(132),
        _ => None,
    }
}
