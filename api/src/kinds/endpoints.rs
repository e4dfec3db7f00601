//! Endpoints: the addresses behind a service, in the older form.

use super::{AGE, ALL_VERBS, KindDef, NAME, Strategy, TableDef, column, row};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::validation::value::{default_empty_to, has, int, list, list_mut, text};
use crate::validation::{check, network};
use serde_json::Value;

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.core.v1.Endpoints",
    table: TableDef { columns: &[NAME, column("Endpoints"), AGE], row: cells },
    selectable: &[],
    strategy: &Endpoints,
    deprecation: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    view: None,
};

/// How many addresses a row shows.
pub(super) const SHOWN: usize = 3;

struct Endpoints;

impl Strategy for Endpoints {
    fn default(&self, object: &mut Value) {
        for subset in list_mut(object, "subsets") {
            for port in list_mut(subset, "ports") {
                default_empty_to(port, "protocol", "TCP");
            }
        }
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        for (index, one) in list(object, "subsets").iter().enumerate() {
            subset(one, &Path::new("subsets").index(index), &mut errors);
        }
        errors
    }

    fn validate_update(&self, new: &Value, _old: &Value) -> FieldErrors {
        self.validate(new)
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

fn subset(subset: &Value, path: &Path, errors: &mut FieldErrors) {
    let lists = ["addresses", "notReadyAddresses"];
    if lists.iter().all(|field| list(subset, field).is_empty()) {
        errors.push(FieldError::required(path, "must specify `addresses` or `notReadyAddresses`"));
    }
    for field in lists {
        for (index, one) in list(subset, field).iter().enumerate() {
            address(one, &path.child(field).index(index), errors);
        }
    }
    let ports = list(subset, "ports");
    for (index, port) in ports.iter().enumerate() {
        let path = path.child("ports").index(index);
        match text(port, "name") {
            "" if ports.len() > 1 => errors.push(FieldError::required(&path.child("name"), "")),
            "" => {}
            name => check::each(names::dns1123_label(name), name, &path.child("name"), errors),
        }
        network::port(int(port, "port").unwrap_or_default(), &path.child("port"), errors);
        network::protocol(text(port, "protocol"), &path.child("protocol"), errors);
        if has(port, "appProtocol") {
            let protocol = text(port, "appProtocol");
            check::each(names::qualified_name(protocol), protocol, &path.child("appProtocol"), errors);
        }
    }
}

fn address(address: &Value, path: &Path, errors: &mut FieldErrors) {
    let ip = text(address, "ip");
    let known = network::ip(ip, &path.child("ip"), errors).is_some();
    let host = text(address, "hostname");
    if !host.is_empty() {
        check::each(names::dns1123_label(host), host, &path.child("hostname"), errors);
    }
    if has(address, "nodeName") {
        let node = text(address, "nodeName");
        check::each(names::dns1123_subdomain(node), node, &path.child("nodeName"), errors);
    }
    if known {
        network::not_special(ip, &path.child("ip"), errors);
    } else {
        errors.push(FieldError::invalid(&path.child("ip"), ip, "must be a valid IP address"));
    }
}

/// The first few of a list, and how many more there are.
pub(super) fn first_few(all: &[String], empty: &str) -> String {
    match all.len() {
        0 => empty.to_owned(),
        count if count > SHOWN => format!("{} + {} more...", all[..SHOWN].join(","), count - SHOWN),
        _ => all.join(","),
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    let mut all = Vec::new();
    for subset in list(object, "subsets") {
        let addresses = || list(subset, "addresses").iter().map(|address| text(address, "ip"));
        let ports = list(subset, "ports");
        if ports.is_empty() {
            all.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            let port = int(port, "port").unwrap_or_default();
            all.extend(addresses().map(|ip| match ip.contains(':') {
                true => format!("[{ip}]:{port}"),
                false => format!("{ip}:{port}"),
            }));
        }
    }
    vec![row::name(object), first_few(&all, row::NONE).into(), row::age(object, now)]
}
