//! From Services, EndpointSlices and Namespaces to names and records (Kubernetes DNS-Based Service Discovery
//! 1.1.0). Pure.

#[cfg(test)]
mod tests;

use crate::records::{Records, Srv};
use crate::wire::name::Name;
use keelson_client::views::{Endpoint, EndpointSlice, Service};
use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;

/// The version of the specification, as `dns-version.<zone>` tells.
const SCHEMA_VERSION: &str = "1.1.0";

type Named = Vec<(Name, Records)>;

/// Records by name while they are gathered.
#[derive(Default)]
struct Gathered(BTreeMap<Name, Records>);

impl Gathered {
    /// The records of `labels` below `suffix`, made when missing. Names that cannot be are left out.
    fn at(&mut self, labels: &[&str], suffix: &Name) -> Option<&mut Records> {
        Name::below(labels, suffix).map(|name| self.0.entry(name).or_default())
    }

    /// An endpoint may be in several slices: what is known of it is said once.
    fn finish(mut self) -> Named {
        for records in self.0.values_mut() {
            once(&mut records.srv);
            once(&mut records.ptr);
        }
        self.0.into_iter().collect()
    }
}

fn once<T: Clone + Eq + Hash>(items: &mut Vec<T>) {
    let mut said = HashSet::new();
    items.retain(|item| said.insert(item.clone()));
}

/// The names that every zone has; `address` is where it is served.
pub fn zone(apex: &Name, address: IpAddr) -> Named {
    let mut names = Gathered::default();
    names.0.insert(apex.clone(), Records { is_apex: true, ..Records::default() });
    for label in ["svc", "pod"] {
        names.at(&[label], apex);
    }
    if let Some(records) = names.at(&["ns", "dns"], apex) {
        records.add_address(address);
    }
    names.at(&["dns"], apex);
    if let Some(records) = names.at(&["dns-version"], apex) {
        records.txt = Some(SCHEMA_VERSION);
    }
    names.finish()
}

/// The names that a namespace has without any service: they exist.
pub fn namespace(name: &str, apex: &Name) -> Named {
    let mut names = Gathered::default();
    for kind in ["svc", "pod"] {
        names.at(&[name, kind], apex);
    }
    names.finish()
}

/// The names of a service; `slices` are all that belong to it.
pub fn service<'a>(service: &Service, slices: impl Iterator<Item = &'a EndpointSlice>, apex: &Name) -> Named {
    let (name, namespace) = (service.metadata.name.as_str(), service.metadata.namespace.as_str());
    let Some(own) = Name::below(&[name, namespace, "svc"], apex) else { return Vec::new() };
    let mut names = Gathered::default();
    if service.is_external_name() {
        external(service, own, &mut names);
    } else if service.is_headless() {
        headless(&own, slices, &mut names);
    } else {
        cluster_ip(service, &own, &mut names);
    }
    names.finish()
}

/// An address is no name: such a target is not served.
fn external(service: &Service, own: Name, names: &mut Gathered) {
    let target = &service.spec.external_name;
    if target.parse::<IpAddr>().is_err()
        && let Some(target) = Name::parse(target)
    {
        names.0.insert(own, Records { cname: Some(target), ..Records::default() });
    }
}

fn cluster_ip(service: &Service, own: &Name, names: &mut Gathered) {
    let addresses: Vec<IpAddr> = service.cluster_ips().filter_map(|ip| ip.parse().ok()).collect();
    if addresses.is_empty() {
        return;
    }
    let mut records = Records::default();
    addresses.iter().for_each(|address| records.add_address(*address));
    let srv = |port| Srv { port, target: own.clone(), a: records.a.clone(), aaaa: records.aaaa.clone() };
    let mut all = Vec::new();
    for port in &service.spec.ports {
        all.push(srv(port.port));
        add_srv(names, own, &port.name, &port.protocol, srv(port.port));
    }
    records.srv = all;
    names.0.entry(own.clone()).or_default().merge(&records);
    for address in addresses {
        add_ptr(names, address, own);
    }
}

fn headless<'a>(own: &Name, slices: impl Iterator<Item = &'a EndpointSlice>, names: &mut Gathered) {
    for slice in slices {
        for endpoint in slice.endpoints.iter().filter(|e| e.conditions.is_ready()) {
            for address in endpoint.addresses.iter().filter_map(|text| text.parse().ok()) {
                endpoint_names(own, slice, endpoint, address, names);
            }
        }
    }
}

fn endpoint_names(
    own: &Name,
    slice: &EndpointSlice,
    endpoint: &Endpoint,
    address: IpAddr,
    names: &mut Gathered,
) {
    let label = endpoint_label(endpoint, address);
    let Some(target) = Name::below(&[&label], own) else { return };
    let mut at_target = Records::default();
    at_target.add_address(address);
    for port in &slice.ports {
        let Some(number) = port.port else { continue };
        let srv = Srv {
            port: number,
            target: target.clone(),
            a: at_target.a.clone(),
            aaaa: at_target.aaaa.clone(),
        };
        names.0.entry(own.clone()).or_default().srv.push(srv.clone());
        add_srv(names, own, &port.name, &port.protocol, srv);
    }
    names.0.entry(own.clone()).or_default().add_address(address);
    names.0.entry(target.clone()).or_default().merge(&at_target);
    add_ptr(names, address, &target);
}

/// The endpoint's host name, or its address with dashes.
fn endpoint_label(endpoint: &Endpoint, address: IpAddr) -> String {
    if let Some(hostname) = endpoint.hostname.as_ref().filter(|h| !h.is_empty()) {
        return hostname.clone();
    }
    let mut label = address.to_string().replace(['.', ':'], "-");
    // A label neither starts nor ends with a dash.
    if label.ends_with('-') {
        label.push('0');
    }
    if label.starts_with('-') {
        label.insert(0, '0');
    }
    label
}

/// `_name._protocol.<service>`, and `_protocol.<service>`, which then exists. Only named ports have one.
fn add_srv(names: &mut Gathered, own: &Name, port: &str, protocol: &str, srv: Srv) {
    if port.is_empty() {
        return;
    }
    let protocol = if protocol.is_empty() { "tcp" } else { protocol };
    let (port, protocol) = (format!("_{port}"), format!("_{protocol}"));
    if let Some(records) = names.at(&[&port, &protocol], own) {
        records.srv.push(srv);
        names.at(&[&protocol], own);
    }
}

fn add_ptr(names: &mut Gathered, address: IpAddr, target: &Name) {
    names.0.entry(Name::reverse(address)).or_default().ptr.push(target.clone());
}
