//! The legacy Endpoints object of a Service.

use crate::endpointslice::desired::{hostname, is_endpoint, resolve_ports, target};
use crate::endpointslice::plan::HEADLESS;
use keelson_client::views::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Addresses that one object holds at most; the annotation says when there are more.
const ADDRESSES_MAX: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
pub(super) const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
pub(super) const MANAGER: &str = "endpoint-controller";

#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    Nothing,
    Create(Value),
    Update(Value),
}

pub(super) fn plan(service: &Service, pods: &[Arc<Pod>], existing: Option<&Endpoints>) -> Plan {
    let (subsets, truncated) = subsets(service, pods);
    let mut labels = service.metadata.labels.clone();
    labels.remove(HEADLESS);
    if service.is_headless() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    let capacity = truncated.then_some("truncated");
    let Some(existing) = existing else {
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": service.metadata.name, "namespace": service.metadata.namespace, "labels": labels,
            },
            "subsets": subsets,
        });
        if let Some(capacity) = capacity {
            body["metadata"]["annotations"][OVER_CAPACITY] = json!(capacity);
        }
        return Plan::Create(body);
    };
    let old = &existing.metadata;
    if existing.subsets == subsets && old.labels == labels && old.annotation(OVER_CAPACITY) == capacity {
        return Plan::Nothing;
    }
    let mut patch = json!({
        "metadata": {"resourceVersion": old.resource_version, "labels": labels},
        "subsets": subsets,
    });
    for name in old.labels.keys().filter(|name| !labels.contains_key(*name)) {
        patch["metadata"]["labels"][name] = Value::Null;
    }
    if old.annotation(OVER_CAPACITY) != capacity {
        patch["metadata"]["annotations"][OVER_CAPACITY] = json!(capacity);
    }
    Plan::Update(patch)
}

/// Addresses grouped by their ports, sorted, and whether some had to be left out.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> (Vec<EndpointSubset>, bool) {
    let publish = service.spec.publish_not_ready_addresses;
    let mut groups: BTreeMap<Vec<EndpointPort>, EndpointSubset> = BTreeMap::new();
    let (mut count, mut truncated) = (0, false);
    // Ready addresses first: they are the ones to keep when there are too many.
    let mut order: Vec<&Arc<Pod>> =
        pods.iter().filter(|p| is_endpoint(p) && (publish || !p.metadata.is_deleting())).collect();
    order.sort_by_key(|pod| !(publish || pod.is_ready()));
    for pod in order {
        let ports = resolve_ports(service, pod);
        if ports.is_empty() && !service.spec.ports.is_empty() {
            continue;
        }
        let Some(address) = address(service, pod) else { continue };
        if count == ADDRESSES_MAX {
            truncated = true;
            break;
        }
        count += 1;
        let subset = groups
            .entry(ports.clone())
            .or_insert_with(|| EndpointSubset { ports, ..EndpointSubset::default() });
        if publish || pod.is_ready() {
            subset.addresses.push(address);
        } else {
            subset.not_ready_addresses.push(address);
        }
    }
    let mut subsets: Vec<EndpointSubset> = groups.into_values().collect();
    for subset in &mut subsets {
        subset.addresses.sort();
        subset.not_ready_addresses.sort();
    }
    (subsets, truncated)
}

fn address(service: &Service, pod: &Pod) -> Option<EndpointAddress> {
    let v6 = match service.spec.ip_families.first() {
        Some(family) => family == "IPv6",
        None => service.spec.cluster_ip.contains(':'),
    };
    let ip = pod.ips().find(|ip| ip.contains(':') == v6)?;
    Some(EndpointAddress {
        ip: ip.to_owned(),
        hostname: hostname(service, pod).unwrap_or_default(),
        node_name: (!pod.spec.node_name.is_empty()).then(|| pod.spec.node_name.clone()),
        target_ref: Some(target(pod)),
    })
}
