//! From the slices that are to the slices that should be, with as few writes as possible.

use super::desired::{address_types, groups};
use crate::claim::controller_reference;
use keelson_client::Resource;
use keelson_client::views::{
    Endpoint, EndpointPort, EndpointSlice, Pod, SERVICE_NAME_LABEL, Service, TargetRef,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Endpoints that one slice holds at most.
pub(super) const SLICE_MAX: usize = 100;
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
pub(super) const MANAGER: &str = "endpointslice-controller.k8s.io";
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";

/// What the views show.
pub(super) struct Observed<'a> {
    pub(super) service: &'a Service,
    /// The pods that its selector matches.
    pub(super) pods: &'a [Arc<Pod>],
    /// The slices that this controller made for it.
    pub(super) slices: Vec<Arc<EndpointSlice>>,
    /// The zone of a node.
    pub(super) zone: &'a dyn Fn(&str) -> Option<String>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Bodies of slices to create.
    pub(super) create: Vec<Value>,
    /// Slices to change: their names with merge patches.
    pub(super) update: Vec<(String, Value)>,
    pub(super) delete: Vec<String>,
}

pub(super) fn plan(observed: Observed<'_>) -> Plan {
    let service = observed.service;
    let mut desired = groups(service, observed.pods, observed.zone);
    let mut plan = Plan::default();
    let mut existing: BTreeMap<(String, Vec<EndpointPort>), Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in observed.slices {
        if slice.metadata.is_deleting() {
            continue;
        }
        let mut ports = slice.ports.clone();
        ports.sort();
        existing.entry((slice.address_type.clone(), ports)).or_default().push(slice);
    }
    // A family without endpoints keeps one empty slice, so that readers see that it was looked at.
    for address_type in address_types(service) {
        if !desired.keys().any(|(t, _)| t == address_type) {
            desired.insert((address_type.to_owned(), Vec::new()), Vec::new());
        }
    }
    for (key, endpoints) in desired {
        let slices = existing.remove(&key).unwrap_or_default();
        fill(service, key, endpoints, slices, &mut plan);
    }
    plan.delete.extend(existing.into_values().flatten().map(|s| s.metadata.name.clone()));
    plan
}

/// A slice on its way from what it holds to what it should hold.
struct Working {
    slice: Arc<EndpointSlice>,
    endpoints: Vec<Endpoint>,
    changed: bool,
}

/// Endpoints stay where they are; new ones go first to slices that change anyway, then to the fullest slice
/// with room for all, then to new slices.
fn fill(
    service: &Service,
    (address_type, ports): (String, Vec<EndpointPort>),
    endpoints: Vec<Endpoint>,
    slices: Vec<Arc<EndpointSlice>>,
    plan: &mut Plan,
) {
    let mut wanted: HashMap<Option<TargetRef>, Endpoint> =
        endpoints.iter().map(|e| (e.target_ref.clone(), e.clone())).collect();
    let mut working: Vec<Working> = slices.into_iter().map(|slice| keep(slice, &mut wanted)).collect();
    // What is left is new; in the pods' order, so that equal inputs give equal slices.
    let new = endpoints.into_iter().filter(|e| wanted.contains_key(&e.target_ref));
    let mut new: Vec<Endpoint> = new.collect();
    for slice in working.iter_mut().filter(|w| w.changed) {
        let room = SLICE_MAX.saturating_sub(slice.endpoints.len()).min(new.len());
        slice.endpoints.extend(new.drain(..room));
    }
    let roomy = working.iter_mut().filter(|w| w.endpoints.len() + new.len() <= SLICE_MAX);
    if let Some(slice) = roomy.max_by_key(|w| w.endpoints.len()).filter(|_| !new.is_empty()) {
        slice.endpoints.append(&mut new);
        slice.changed = true;
    }
    let all_empty = working.iter().all(|w| w.endpoints.is_empty());
    for (index, slice) in working.iter().enumerate() {
        let placeholder = index == 0 && all_empty && new.is_empty();
        if slice.endpoints.is_empty() && !placeholder {
            plan.delete.push(slice.slice.metadata.name.clone());
        } else if let Some(patch) = patch(service, slice) {
            plan.update.push((slice.slice.metadata.name.clone(), patch));
        }
    }
    if working.is_empty() && new.is_empty() {
        plan.create.push(body(service, &address_type, &ports, &[]));
    }
    for chunk in new.chunks(SLICE_MAX) {
        plan.create.push(body(service, &address_type, &ports, chunk));
    }
}

/// Takes the endpoints that stay in a slice out of those that are wanted.
fn keep(slice: Arc<EndpointSlice>, wanted: &mut HashMap<Option<TargetRef>, Endpoint>) -> Working {
    let kept: Vec<Endpoint> =
        slice.endpoints.iter().filter_map(|old| wanted.remove(&old.target_ref)).collect();
    Working { changed: kept != slice.endpoints, endpoints: kept, slice }
}

fn patch(service: &Service, slice: &Working) -> Option<Value> {
    let labels = labels(service);
    let old = &slice.slice.metadata;
    if !slice.changed && old.labels == labels {
        return None;
    }
    let mut patch = json!({"metadata": {"resourceVersion": old.resource_version}});
    if slice.changed {
        patch["endpoints"] = json!(slice.endpoints);
    }
    for (name, value) in &labels {
        if old.label(name) != Some(value) {
            patch["metadata"]["labels"][name] = json!(value);
        }
    }
    for name in old.labels.keys().filter(|name| !labels.contains_key(*name)) {
        patch["metadata"]["labels"][name] = Value::Null;
    }
    Some(patch)
}

/// The Service's labels and those by which slices are found.
fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone();
    labels.remove(HEADLESS);
    if service.is_headless() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME_LABEL.to_owned(), service.metadata.name.clone());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

fn body(service: &Service, address_type: &str, ports: &[EndpointPort], endpoints: &[Endpoint]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{}-", service.metadata.name),
            "namespace": service.metadata.namespace,
            "labels": labels(service),
            "ownerReferences": [controller_reference(&Resource::SERVICES, &service.metadata)],
        },
        "addressType": address_type,
        "endpoints": endpoints,
        "ports": ports,
    })
}
