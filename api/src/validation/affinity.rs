//! Node affinity, pod affinity and pod anti-affinity.

use super::check;
use super::spread;
use super::value::{at, has, int, list, text, texts};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::selector::validate_label_selector;
use serde_json::Value;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Checks `spec.affinity`.
pub fn affinity(affinity: &Value, path: &Path, errors: &mut FieldErrors) {
    node_affinity(at(affinity, "nodeAffinity"), &path.child("nodeAffinity"), errors);
    for kind in ["podAffinity", "podAntiAffinity"] {
        let (terms, path) = (at(affinity, kind), path.child(kind));
        for (index, term) in list(terms, REQUIRED).iter().enumerate() {
            pod_term(term, &path.child(REQUIRED).index(index), errors);
        }
        for (index, weighted) in list(terms, PREFERRED).iter().enumerate() {
            let path = path.child(PREFERRED).index(index);
            weight(weighted, &path, errors);
            pod_term(at(weighted, "podAffinityTerm"), &path.child("podAffinityTerm"), errors);
        }
    }
}

fn weight(term: &Value, path: &Path, errors: &mut FieldErrors) {
    let weight = int(term, "weight").unwrap_or_default();
    if !(1..=100).contains(&weight) {
        errors.push(FieldError::invalid(&path.child("weight"), weight, "must be in the range 1-100"));
    }
}

fn node_affinity(affinity: &Value, path: &Path, errors: &mut FieldErrors) {
    if has(affinity, REQUIRED) {
        let path = path.child(REQUIRED).child("nodeSelectorTerms");
        let terms = list(at(affinity, REQUIRED), "nodeSelectorTerms");
        if terms.is_empty() {
            errors.push(FieldError::required(&path, "must have at least one node selector term"));
        }
        for (index, term) in terms.iter().enumerate() {
            node_term(term, true, &path.index(index), errors);
        }
    }
    for (index, term) in list(affinity, PREFERRED).iter().enumerate() {
        let path = path.child(PREFERRED).index(index);
        weight(term, &path, errors);
        // A preference may name what no node has.
        node_term(at(term, "preference"), false, &path.child("preference"), errors);
    }
}

fn node_term(term: &Value, check_values: bool, path: &Path, errors: &mut FieldErrors) {
    for (index, requirement) in list(term, "matchExpressions").iter().enumerate() {
        node_expression(requirement, check_values, &path.child("matchExpressions").index(index), errors);
    }
    for (index, requirement) in list(term, "matchFields").iter().enumerate() {
        node_field(requirement, &path.child("matchFields").index(index), errors);
    }
}

fn node_expression(requirement: &Value, check_values: bool, path: &Path, errors: &mut FieldErrors) {
    let values = texts(requirement, "values");
    let at_values = path.child("values");
    match text(requirement, "operator") {
        "In" | "NotIn" if values.is_empty() => {
            let why = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(&at_values, why));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&at_values, why));
        }
        "Gt" | "Lt" if values.len() != 1 => {
            let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            errors.push(FieldError::required(&at_values, why));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => {
            let why = "not a valid selector operator";
            errors.push(FieldError::invalid(&path.child("operator"), other, why));
        }
    }
    let key = text(requirement, "key");
    check::each(names::qualified_name(key), key, &path.child("key"), errors);
    if check_values {
        for (index, value) in values.into_iter().enumerate() {
            check::each(names::label_value(value), value, &at_values.index(index), errors);
        }
    }
}

fn node_field(requirement: &Value, path: &Path, errors: &mut FieldErrors) {
    let values = texts(requirement, "values");
    match text(requirement, "operator") {
        "In" | "NotIn" if values.len() != 1 => {
            let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.push(FieldError::required(&path.child("values"), why));
        }
        "In" | "NotIn" => {}
        other => {
            let why = "not a valid selector operator";
            errors.push(FieldError::invalid(&path.child("operator"), other, why));
        }
    }
    match text(requirement, "key") {
        "metadata.name" => {
            for (index, value) in values.into_iter().enumerate() {
                let path = path.child("values").index(index);
                check::each(names::dns1123_subdomain(value), value, &path, errors);
            }
        }
        other => {
            let why = "not a valid field selector key";
            errors.push(FieldError::invalid(&path.child("key"), other, why));
        }
    }
}

fn pod_term(term: &Value, path: &Path, errors: &mut FieldErrors) {
    for field in ["labelSelector", "namespaceSelector"] {
        errors.extend(validate_label_selector(at(term, field), &path.child(field)));
    }
    for namespace in texts(term, "namespaces") {
        check::each(names::dns1123_label(namespace), namespace, &path.child("namespace"), errors);
    }
    label_keys(term, path, errors);
    let key = text(term, "topologyKey");
    if key.is_empty() {
        errors.push(FieldError::required(&path.child("topologyKey"), "can not be empty"));
    }
    check::each(names::qualified_name(key), key, &path.child("topologyKey"), errors);
}

/// `matchLabelKeys` and `mismatchLabelKeys` take the values of the pod's own labels.
fn label_keys(term: &Value, path: &Path, errors: &mut FieldErrors) {
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let (keys, path) = (texts(term, field), path.child(field));
        if !keys.is_empty() && !has(term, "labelSelector") {
            let why = "must not be specified when labelSelector is not set";
            errors.push(FieldError::forbidden(&path, why));
            continue;
        }
        for (index, key) in keys.into_iter().enumerate() {
            check::each(names::qualified_name(key), key, &path.index(index), errors);
        }
    }
    let keys = texts(term, "matchLabelKeys");
    spread::keys_in_selector(&keys, at(term, "labelSelector"), path, errors);
    let mismatch = texts(term, "mismatchLabelKeys");
    for (index, key) in texts(term, "matchLabelKeys").into_iter().enumerate() {
        if mismatch.contains(&key) {
            let path = path.child("matchLabelKeys").index(index);
            let why = "exists in both matchLabelKeys and mismatchLabelKeys";
            errors.push(FieldError::invalid(&path, key, why));
        }
    }
}
