//! One Service with its slices -> what it claims in the tables.

use super::endpoints::{Choice, choose, local_ready};
use super::{OwnNode, Rank, ServicePort, protocol};
use crate::tables::Problem;
use keelson_client::views::{EndpointSlice, Service, ServicePort as PortView};
use keelson_ebpf_abi::{Address, Backend, Be16, Service as Entry, ServiceKey};
use std::net::IpAddr;
use std::sync::Arc;

/// What one object puts into the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// Where it would be reached, how strong the claim is, and what answers.
    pub entries: Vec<(ServiceKey, Rank, Arc<ServicePort>)>,
    /// The port at which load balancers ask for this node's endpoints.
    pub health: Option<(u16, HealthCheck)>,
    /// What of it cannot be served.
    pub problems: Vec<Problem>,
}

/// What a load balancer wants to know of a Service whose traffic stays on the node that it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub name: String,
    /// Ready endpoints on this node.
    pub local_endpoints: usize,
}

/// The label by which another proxy claims a Service.
const PROXY_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// Compiles a Service; one without an address of its own claims nothing.
pub fn compile(service: &Service, slices: &[&EndpointSlice], node: &OwnNode) -> Compiled {
    let mut compiled = Compiled::default();
    let proxied = service.metadata.label(PROXY_LABEL).is_some();
    if service.is_external_name() || service.is_headless() || proxied {
        return compiled;
    }
    let frontends = Frontends::of(service, &mut compiled.problems);
    for port in &service.spec.ports {
        match protocol(&port.protocol) {
            Some(number) => frontends.add(port, number, slices, node, &mut compiled),
            None => {
                let message = format!("unknown protocol {:?}", port.protocol);
                compiled.problems.push(problem(service, message));
            }
        }
    }
    compiled.health = health(service, slices, node);
    compiled
}

fn health(service: &Service, slices: &[&EndpointSlice], node: &OwnNode) -> Option<(u16, HealthCheck)> {
    let port = service.spec.health_check_node_port;
    let wanted = port != 0 && service.spec.r#type == "LoadBalancer" && service.is_external_local();
    wanted.then(|| {
        let meta = &service.metadata;
        let local_endpoints = local_ready(slices, node);
        (port, HealthCheck { namespace: meta.namespace.clone(), name: meta.name.clone(), local_endpoints })
    })
}

/// Where a Service is reached besides its ports' NodePorts.
struct Frontends<'a> {
    service: &'a Service,
    cluster: Vec<Address>,
    /// Load balancers' addresses and external ones, with the strength of the claim.
    external: Vec<(Address, Rank)>,
    /// External addresses that are not open to everybody, which is not enforced here: from outside they are closed.
    restricted: Vec<Address>,
}

impl<'a> Frontends<'a> {
    fn of(service: &'a Service, problems: &mut Vec<Problem>) -> Self {
        let cluster = addresses(service.cluster_ips());
        let mut external: Vec<_> =
            addresses(service.balancer_ips()).into_iter().map(|address| (address, Rank::Balancer)).collect();
        let mut restricted = Vec::new();
        if !external.is_empty() && has_source_ranges(service) {
            restricted = external.iter().map(|(address, _)| *address).collect();
            let message = "spec.loadBalancerSourceRanges is not enforced by this node, so its load balancer's \
                           addresses are closed to clients outside of the cluster; restrict them in the load \
                           balancer and remove the field to open them";
            problems.push(problem(service, message.to_owned()));
        }
        let named = addresses(service.spec.external_ips.iter().map(String::as_str));
        external.extend(named.into_iter().map(|address| (address, Rank::External)));
        Self { service, cluster, external, restricted }
    }

    fn add(
        &self,
        port: &PortView,
        protocol: u8,
        slices: &[&EndpointSlice],
        node: &OwnNode,
        compiled: &mut Compiled,
    ) {
        for is_v4 in [true, false] {
            let contents = Contents::of(self.service, port, choose(port, is_v4, slices, node));
            let mut claim = |address, port, scope, rank, content: &Arc<ServicePort>| {
                let key = ServiceKey { address, port: Be16::new(port), protocol, scope };
                compiled.entries.push((key, rank, content.clone()));
            };
            for address in self.cluster.iter().filter(|address| address.is_v4() == is_v4) {
                claim(*address, port.port, ServiceKey::INSIDE, Rank::Cluster, &contents.internal);
            }
            for (address, rank) in self.external.iter().filter(|(address, _)| address.is_v4() == is_v4) {
                claim(*address, port.port, ServiceKey::INSIDE, *rank, &contents.cluster);
                if !self.restricted.contains(address) {
                    claim(*address, port.port, ServiceKey::OUTSIDE, *rank, &contents.external);
                }
            }
            if port.node_port != 0 && is_v4 == self.cluster.first().is_none_or(Address::is_v4) {
                let any = Address::UNSPECIFIED;
                claim(any, port.node_port, ServiceKey::INSIDE, Rank::NodePort, &contents.cluster);
                claim(any, port.node_port, ServiceKey::OUTSIDE, Rank::NodePort, &contents.external);
            }
        }
    }
}

/// What answers at the three kinds of address of one port. Clients in the cluster that ask an external address get
/// every endpoint whatever the external policy says: kube-proxy's short cut.
struct Contents {
    internal: Arc<ServicePort>,
    cluster: Arc<ServicePort>,
    external: Arc<ServicePort>,
}

impl Contents {
    fn of(service: &Service, port: &PortView, choice: Choice) -> Self {
        let somewhere = !choice.cluster.is_empty() || !choice.local.is_empty();
        let make = |backends: Vec<Backend>, local: bool| {
            let seconds = service.affinity_seconds();
            let flag = |set: bool, flag: u32| if set { flag } else { 0 };
            Arc::new(ServicePort {
                name: name(service, port),
                flags: flag(local, Entry::LOCAL)
                    | flag(seconds.is_some(), Entry::AFFINITY)
                    | flag(backends.is_empty() && somewhere, Entry::ELSEWHERE),
                backends,
                affinity_seconds: seconds.unwrap_or(0),
            })
        };
        let cluster = make(choice.cluster, false);
        let local = make(choice.local, true);
        let by_policy = |is_local: bool| if is_local { local.clone() } else { cluster.clone() };
        let internal = by_policy(service.is_internal_local());
        let external = by_policy(service.is_external_local());
        Self { internal, cluster, external }
    }
}

fn name(service: &Service, port: &PortView) -> String {
    let meta = &service.metadata;
    let shown = if port.name.is_empty() { port.port.to_string() } else { port.name.clone() };
    format!("{}/{}:{shown}", meta.namespace, meta.name)
}

fn addresses<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Address> {
    texts.filter_map(|text| text.parse::<IpAddr>().ok()).map(Address::from).collect()
}

/// Whether some clients are to be kept out; a range of all addresses keeps nobody out.
fn has_source_ranges(service: &Service) -> bool {
    let ranges = &service.spec.load_balancer_source_ranges;
    !ranges.is_empty() && !ranges.iter().any(|range| range.trim() == "0.0.0.0/0")
}

fn problem(service: &Service, message: String) -> Problem {
    let meta = &service.metadata;
    Problem { object: format!("Service {}/{}", meta.namespace, meta.name), message }
}
