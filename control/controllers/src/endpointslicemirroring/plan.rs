//! From an Endpoints object to the slices that say the same.

use crate::claim::controller_reference;
use keelson_client::Resource;
use keelson_client::views::{
    Endpoint, EndpointAddress, EndpointConditions, EndpointPort, EndpointSlice, EndpointSubset, Endpoints,
    SERVICE_NAME_LABEL, Service,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses of one subset that are mirrored at most, ready ones first; a slice holds no more than that either.
const ADDRESSES_MAX: usize = 1000;
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// Set to `true` by whoever keeps the slices by himself.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Marks the objects that were used as locks before there were Leases.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations about the object itself, not about its endpoints.
const NOT_MIRRORED: [&str; 2] =
    ["endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration"];

#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Bodies of slices to create.
    pub(super) create: Vec<Value>,
    /// Slices to replace: their names with the new bodies.
    pub(super) replace: Vec<(String, Value)>,
    pub(super) delete: Vec<String>,
}

/// Slices of one address family and one list of ports.
type Family = (&'static str, Vec<EndpointPort>);

pub(super) fn is_mirror(slice: &EndpointSlice) -> bool {
    slice.metadata.label(MANAGED_BY) == Some(MANAGER)
}

/// `slices` are the mirrors that exist of this object.
pub(super) fn plan(
    endpoints: Option<&Endpoints>,
    service: Option<&Service>,
    slices: Vec<Arc<EndpointSlice>>,
) -> Plan {
    let mut plan = Plan::default();
    let mut existing: BTreeMap<(String, Vec<EndpointPort>), Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in slices.into_iter().filter(|s| !s.metadata.is_deleting()) {
        let mut ports = slice.ports.clone();
        ports.sort();
        existing.entry((slice.address_type.clone(), ports)).or_default().push(slice);
    }
    if let Some(endpoints) = endpoints.filter(|e| has_mirror(e, service)) {
        for ((address_type, ports), wanted) in families(&endpoints.subsets) {
            let mut old =
                existing.remove(&(address_type.to_owned(), ports.clone())).unwrap_or_default().into_iter();
            for chunk in wanted.chunks(ADDRESSES_MAX) {
                match old.next() {
                    None => plan.create.push(body(endpoints, None, address_type, &ports, chunk)),
                    Some(slice) if is_equal(endpoints, &slice, chunk) => {}
                    Some(slice) => plan.replace.push((
                        slice.metadata.name.clone(),
                        body(endpoints, Some(&slice), address_type, &ports, chunk),
                    )),
                }
            }
            plan.delete.extend(old.map(|slice| slice.metadata.name.clone()));
        }
    }
    plan.delete.extend(existing.into_values().flatten().map(|slice| slice.metadata.name.clone()));
    plan
}

/// A Service with a selector has slices of its pods; an object without a Service is nobody's endpoints.
fn has_mirror(endpoints: &Endpoints, service: Option<&Service>) -> bool {
    let meta = &endpoints.metadata;
    !meta.is_deleting()
        && meta.label(SKIP) != Some("true")
        && meta.annotation(LEADER).is_none()
        && service.is_some_and(|s| s.spec.selector.is_empty() && !s.metadata.is_deleting())
}

/// The endpoints by family; an address that is named twice for the same ports counts as first named.
fn families(subsets: &[EndpointSubset]) -> BTreeMap<Family, Vec<Endpoint>> {
    let mut families: BTreeMap<Family, Vec<Endpoint>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for subset in subsets {
        let mut ports = subset.ports.clone();
        ports.sort();
        let ready = subset.addresses.iter().map(|address| (address, true));
        let all = ready.chain(subset.not_ready_addresses.iter().map(|address| (address, false)));
        for (address, ready) in all.take(ADDRESSES_MAX) {
            let Some(address_type) = address_type(&address.ip) else { continue };
            let family = (address_type, ports.clone());
            if seen.insert((family.clone(), address.ip.clone())) {
                families.entry(family).or_default().push(endpoint(address, ready));
            }
        }
    }
    families
}

fn address_type(ip: &str) -> Option<&'static str> {
    Some(if ip.parse::<IpAddr>().ok()?.is_ipv6() { "IPv6" } else { "IPv4" })
}

fn endpoint(address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: EndpointConditions { ready: Some(ready), ..EndpointConditions::default() },
        hostname: (!address.hostname.is_empty()).then(|| address.hostname.clone()),
        target_ref: address.target_ref.clone(),
        node_name: address.node_name.clone(),
        zone: None,
        hints: None,
    }
}

fn labels(endpoints: &Endpoints) -> BTreeMap<String, String> {
    let mut labels = endpoints.metadata.labels.clone();
    labels.insert(SERVICE_NAME_LABEL.to_owned(), endpoints.metadata.name.clone());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

fn annotations(endpoints: &Endpoints) -> BTreeMap<String, String> {
    let mut annotations = endpoints.metadata.annotations.clone();
    annotations.retain(|name, _| !NOT_MIRRORED.contains(&name.as_str()));
    annotations
}

fn is_equal(endpoints: &Endpoints, slice: &EndpointSlice, wanted: &[Endpoint]) -> bool {
    slice.endpoints == wanted
        && slice.metadata.labels == labels(endpoints)
        && slice.metadata.annotations == annotations(endpoints)
        && slice.metadata.is_controlled_by(&endpoints.metadata.uid)
}

/// The whole slice: the mirror is this controller's alone, so it may replace `old`.
fn body(
    endpoints: &Endpoints,
    old: Option<&EndpointSlice>,
    address_type: &str,
    ports: &[EndpointPort],
    wanted: &[Endpoint],
) -> Value {
    let mut body = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{}-", endpoints.metadata.name),
            "namespace": endpoints.metadata.namespace,
            "labels": labels(endpoints),
            "annotations": annotations(endpoints),
            "ownerReferences": [controller_reference(&Resource::ENDPOINTS, &endpoints.metadata)],
        },
        "addressType": address_type,
        "endpoints": wanted,
        "ports": ports,
    });
    if let Some(old) = old {
        body["metadata"]["name"] = json!(old.metadata.name);
        body["metadata"]["resourceVersion"] = json!(old.metadata.resource_version);
    }
    body
}
