//! NetworkPolicy: which traffic pods take and send. Stored and validated; the data plane does not enforce it
//! yet, and each write says so.

use super::{AGE, ALL_VERBS, KindDef, NAME, Strategy, TableDef, column, generation, row};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::selector::validate_label_selector;
use crate::validation::value::{
    at, default_empty_to, has, int, list, list_mut, object_mut, set, text, texts,
};
use crate::validation::{check, network};
use serde_json::{Value, json};

pub(super) static KIND: KindDef = KindDef {
    group: "networking.k8s.io",
    version: "v1",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    singular: "networkpolicy",
    short_names: &["netpol"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.networking.v1.NetworkPolicy",
    table: TableDef { columns: &[NAME, column("Pod-Selector"), AGE], row: cells },
    selectable: &[],
    strategy: &NetworkPolicy,
    deprecation: "",
    view: None,
};

/// What a write is warned of.
const NOT_ENFORCED: &str = "NetworkPolicy is stored but not yet enforced: it does not restrict any traffic";

/// The directions, with the fields of their rules and peers.
const DIRECTIONS: [(&str, &str, &str); 2] = [("Ingress", "ingress", "from"), ("Egress", "egress", "to")];

struct NetworkPolicy;

impl Strategy for NetworkPolicy {
    fn default(&self, object: &mut Value) {
        let Some(spec) = object_mut(object, "spec") else { return };
        for (_, field, _) in DIRECTIONS {
            for rule in list_mut(spec, field) {
                for port in list_mut(rule, "ports") {
                    default_empty_to(port, "protocol", "TCP");
                }
            }
        }
        if list(spec, "policyTypes").is_empty() {
            let egress = !list(spec, "egress").is_empty();
            set(spec, "policyTypes", if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        generation::start(object);
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        generation::carry_with_field(new, old, "spec");
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let (spec, path) = (at(object, "spec"), Path::new("spec"));
        errors.extend(validate_label_selector(at(spec, "podSelector"), &path.child("podSelector")));
        for (_, field, peers) in DIRECTIONS {
            for (index, rule) in list(spec, field).iter().enumerate() {
                let path = path.child(field).index(index);
                for (index, one) in list(rule, "ports").iter().enumerate() {
                    port(one, &path.child("ports").index(index), &mut errors);
                }
                for (index, one) in list(rule, peers).iter().enumerate() {
                    peer(one, &path.child(peers).index(index), &mut errors);
                }
            }
        }
        let (types, path) = (texts(spec, "policyTypes"), path.child("policyTypes"));
        if types.len() > DIRECTIONS.len() {
            let why = "may not specify more than two policyTypes";
            errors.push(FieldError::invalid(&path, json!(types), why));
            return errors;
        }
        for (index, kind) in types.into_iter().enumerate() {
            check::one_of(kind, &["Ingress", "Egress"], &path.index(index), &mut errors);
        }
        errors
    }

    fn validate_update(&self, new: &Value, _old: &Value) -> FieldErrors {
        self.validate(new)
    }

    fn warnings(&self, _object: &Value) -> Vec<String> {
        vec![NOT_ENFORCED.to_owned()]
    }
}

fn port(port: &Value, path: &Path, errors: &mut FieldErrors) {
    check::optional_one_of(port, "protocol", &["TCP", "UDP", "SCTP"], path, errors);
    let (number, end) = (at(port, "port"), int(port, "endPort"));
    let refuse_end = |why: &str, errors: &mut FieldErrors| {
        if let Some(end) = end {
            errors.push(FieldError::invalid(&path.child("endPort"), end, why));
        }
    };
    match number {
        Value::Null => refuse_end("may not be specified when `port` is not specified", errors),
        Value::String(name) => {
            refuse_end("may not be specified when `port` is non-numeric", errors);
            check::each(names::port_name(name), name, &path.child("port"), errors);
        }
        number => {
            let number = number.as_i64().unwrap_or_default();
            network::port(number, &path.child("port"), errors);
            if let Some(end) = end {
                if end < number {
                    refuse_end("must be greater than or equal to `port`", errors);
                }
                network::port(end, &path.child("endPort"), errors);
            }
        }
    }
}

fn peer(peer: &Value, path: &Path, errors: &mut FieldErrors) {
    let mut count = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if has(peer, field) {
            count += 1;
            errors.extend(validate_label_selector(at(peer, field), &path.child(field)));
        }
    }
    if has(peer, "ipBlock") {
        ip_block(at(peer, "ipBlock"), &path.child("ipBlock"), errors);
        if count > 0 {
            errors.push(FieldError::forbidden(path, "may not specify both ipBlock and another peer"));
        }
    } else if count == 0 {
        errors.push(FieldError::required(path, "must specify a peer"));
    }
}

fn ip_block(block: &Value, path: &Path, errors: &mut FieldErrors) {
    if !check::required(block, "cidr", path, errors) {
        return;
    }
    let Some(whole) = network::cidr(text(block, "cidr"), &path.child("cidr"), errors) else { return };
    for (index, except) in texts(block, "except").into_iter().enumerate() {
        let path = path.child("except").index(index);
        let Some(part) = network::cidr(except, &path, errors) else { continue };
        if !network::strictly_within(part, whole) {
            errors.push(FieldError::invalid(&path, except, "must be a strict subset of `cidr`"));
        }
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    let selector = row::selector(at(at(object, "spec"), "podSelector"));
    vec![row::name(object), selector.into(), row::age(object, now)]
}
