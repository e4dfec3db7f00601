//! EndpointSlice: a part of the addresses behind a service.

use super::endpoints::first_few;
use super::{AGE, ALL_VERBS, KindDef, NAME, Strategy, TableDef, column, generation, row};
use crate::field::{FieldError, FieldErrors, Path};
use crate::meta;
use crate::names;
use crate::validation::value::{at, default_empty_to, default_to, has, list, list_mut, same, text, texts};
use crate::validation::{check, network};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

pub(super) static KIND: KindDef = KindDef {
    group: "discovery.k8s.io",
    version: "v1",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.discovery.v1.EndpointSlice",
    table: TableDef {
        columns: &[NAME, column("AddressType"), column("Ports"), column("Endpoints"), AGE],
        row: cells,
    },
    selectable: &[],
    strategy: &EndpointSlice,
    deprecation: "",
    view: None,
};

/// The most endpoints, addresses of one, and ports.
const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;
/// The most zones or nodes that an endpoint is hinted to.
const HINTS_MAX: usize = 8;

struct EndpointSlice;

impl Strategy for EndpointSlice {
    fn default(&self, object: &mut Value) {
        for port in list_mut(object, "ports") {
            default_to(port, "name", "");
            default_empty_to(port, "protocol", "TCP");
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        generation::start(object);
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        let changed =
            ["addressType", "endpoints", "ports"].iter().any(|field| !same(at(new, field), at(old, field)))
                || !same(&new["metadata"]["labels"], &old["metadata"]["labels"]);
        generation::carry(new, old, changed);
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let path = Path::new("addressType");
        match text(object, "addressType") {
            "" => errors.push(FieldError::required(&path, "")),
            kind => check::one_of(kind, &["FQDN", "IPv4", "IPv6"], &path, &mut errors),
        }
        ports(list(object, "ports"), &Path::new("ports"), &mut errors);
        endpoints(object, &Path::new("endpoints"), &mut errors);
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = self.validate(new);
        let kind = text(new, "addressType");
        if kind != text(old, "addressType") {
            errors.push(FieldError::invalid(&Path::new("addressType"), kind, "field is immutable"));
        }
        errors
    }
}

fn ports(ports: &[Value], path: &Path, errors: &mut FieldErrors) {
    if ports.len() > PORTS_MAX {
        errors.push(FieldError::too_many(path, ports.len(), PORTS_MAX));
        return;
    }
    let mut taken = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            check::each(names::dns1123_label(name), name, &path.child("name"), errors);
        }
        if !taken.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        network::protocol(text(port, "protocol"), &path.child("protocol"), errors);
        if has(port, "appProtocol") {
            let protocol = text(port, "appProtocol");
            check::each(names::qualified_name(protocol), protocol, &path.child("appProtocol"), errors);
        }
    }
}

fn endpoints(object: &Value, path: &Path, errors: &mut FieldErrors) {
    let endpoints = list(object, "endpoints");
    if endpoints.len() > ENDPOINTS_MAX {
        errors.push(FieldError::too_many(path, endpoints.len(), ENDPOINTS_MAX));
        return;
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let path = path.index(index);
        addresses(endpoint, text(object, "addressType"), &path.child("addresses"), errors);
        if has(endpoint, "nodeName") {
            let node = text(endpoint, "nodeName");
            check::each(names::dns1123_subdomain(node), node, &path.child("nodeName"), errors);
        }
        if let Some(topology) = at(endpoint, "deprecatedTopology").as_object() {
            meta::validate_labels(errors, &path.child("deprecatedTopology"), topology);
        }
        if has(endpoint, "hostname") {
            let host = text(endpoint, "hostname");
            check::each(names::dns1123_label(host), host, &path.child("hostname"), errors);
        }
        for field in ["forZones", "forNodes"] {
            hints(list(at(endpoint, "hints"), field), &path.child("hints").child(field), errors);
        }
    }
}

fn addresses(endpoint: &Value, kind: &str, path: &Path, errors: &mut FieldErrors) {
    let addresses = texts(endpoint, "addresses");
    if addresses.is_empty() {
        errors.push(FieldError::required(path, "must contain at least 1 address"));
    } else if addresses.len() > ADDRESSES_MAX {
        errors.push(FieldError::too_many(path, addresses.len(), ADDRESSES_MAX));
    }
    for (index, address) in addresses.into_iter().enumerate() {
        let ip = network::parse_ip(address);
        let wrong = match kind {
            "IPv4" => !matches!(ip, Some(IpAddr::V4(_))),
            "IPv6" => !matches!(ip, Some(IpAddr::V6(_))),
            _ => false,
        };
        if wrong {
            let article = if kind == "IPv4" { "an IPv4" } else { "an IPv6" };
            errors.push(FieldError::invalid(path, address, format!("must be {article} address")));
        }
        if kind == "FQDN" {
            fqdn(address, &path.index(index), errors);
        } else {
            network::not_special(address, &path.index(index), errors);
        }
    }
}

fn fqdn(name: &str, path: &Path, errors: &mut FieldErrors) {
    let plain = name.strip_suffix('.').unwrap_or(name);
    let wrong = names::dns1123_subdomain(plain);
    if wrong.is_empty() && plain.split('.').count() < 2 {
        let why = "should be a domain with at least two segments separated by dots";
        errors.push(FieldError::invalid(path, name, why));
    }
    check::each(wrong, name, path, errors);
}

fn hints(hints: &[Value], path: &Path, errors: &mut FieldErrors) {
    if hints.len() > HINTS_MAX {
        errors.push(FieldError::too_many(path, hints.len(), HINTS_MAX));
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, hint) in hints.iter().enumerate() {
        let path = path.index(index).child("name");
        let name = text(hint, "name");
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        check::each(names::label_value(name), name, &path, errors);
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    let ports = list(object, "ports").iter().map(|port| match at(port, "port") {
        Value::Number(number) => number.to_string(),
        _ if text(port, "name").is_empty() => "*".to_owned(),
        _ => text(port, "name").to_owned(),
    });
    let addresses = list(object, "endpoints").iter().flat_map(|endpoint| texts(endpoint, "addresses"));
    vec![
        row::name(object),
        text(object, "addressType").into(),
        first_few(&ports.collect::<Vec<_>>(), "<unset>").into(),
        first_few(&addresses.map(str::to_owned).collect::<Vec<_>>(), "<unset>").into(),
        row::age(object, now),
    ]
}
