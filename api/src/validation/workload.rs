//! What Deployments and ReplicaSets share: a selector, a template that it matches, and counts of replicas.

use super::value::{at, has, int, list, size, text};
use super::{check, go_value, pod_spec};
use crate::field::{FieldError, FieldErrors, Path};
use crate::selector::{LabelSelector, validate_label_selector};
use serde_json::{Map, Value};

/// A selector as messages show it.
pub fn shown_selector(selector: &Value) -> String {
    if selector.is_object() { go_value::compact("LabelSelector", selector) } else { "null".to_owned() }
}

/// Checks `selector` and `template`.
pub fn selector_and_template(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    let selector = at(spec, "selector");
    let at_selector = path.child("selector");
    if !selector.is_object() {
        errors.push(FieldError::required(&at_selector, ""));
    } else {
        errors.extend(validate_label_selector(selector, &at_selector));
        if size(selector, "matchLabels") + list(selector, "matchExpressions").len() == 0 {
            // The words are Kubernetes' for ReplicaSets, too.
            let why = "empty selector is invalid for deployment";
            errors.push(FieldError::shown(&at_selector, shown_selector(selector), why));
        }
    }
    match LabelSelector::from_object(selector) {
        Err(_) => {
            let shown = shown_selector(selector);
            errors.push(FieldError::shown(&at_selector, shown, "invalid label selector"));
        }
        Ok(parsed) => template(at(spec, "template"), &parsed, &path.child("template"), errors),
    }
}

fn template(template: &Value, selector: &LabelSelector, path: &Path, errors: &mut FieldErrors) {
    let labels = at(at(template, "metadata"), "labels");
    let none = Map::new();
    if !selector.is_empty() && !selector.matches(labels.as_object().unwrap_or(&none)) {
        let path = path.child("metadata").child("labels");
        let why = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(&path, labels.clone(), why));
    }
    pod_spec::template(template, path, errors);
    let (spec, path) = (at(template, "spec"), path.child("spec"));
    let policy = text(spec, "restartPolicy");
    if policy != "Always" {
        errors.push(FieldError::not_supported(&path.child("restartPolicy"), policy, &["Always"]));
    }
    if has(spec, "activeDeadlineSeconds") {
        let why = "activeDeadlineSeconds in ReplicaSet is not Supported";
        errors.push(FieldError::forbidden(&path.child("activeDeadlineSeconds"), why));
    }
}

/// The selector of a stored workload stays.
pub fn selector_is_immutable(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let (selector, was) = (at(at(new, "spec"), "selector"), at(at(old, "spec"), "selector"));
    if !super::value::same(selector, was) {
        let path = Path::new("spec").child("selector");
        errors.push(FieldError::shown(&path, shown_selector(selector), "field is immutable"));
    }
}

/// Checks the counts of a status: none is below zero, `parts` are at most `replicas`, and what is available is
/// ready.
pub fn counts(status: &Value, all: &[&str], parts: &[&str], errors: &mut FieldErrors) {
    let path = Path::new("status");
    for field in all {
        check::not_negative(status, field, &path, errors);
    }
    let count = |field: &str| int(status, field).unwrap_or_default();
    for field in parts.iter().filter(|field| count(field) > count("replicas")) {
        let why = "cannot be greater than status.replicas";
        errors.push(FieldError::invalid(&path.child(field), count(field), why));
    }
    if count("availableReplicas") > count("readyReplicas") {
        let why = "cannot be greater than readyReplicas";
        errors.push(FieldError::invalid(&path.child("availableReplicas"), count("availableReplicas"), why));
    }
}
