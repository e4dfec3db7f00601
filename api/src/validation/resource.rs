//! Requests and limits of containers and pods.

use super::value::{at, entries, list, text};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeSet;

const HUGE_PAGES: &str = "hugepages-";

/// Whether the resource is one of Kubernetes' own.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether more of it may be promised than there is.
fn may_overcommit(name: &str) -> bool {
    is_native(name) && !name.starts_with(HUGE_PAGES)
}

/// Whether it is counted in whole units.
fn is_whole(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.")
}

/// Checks the requests, limits and claims of a container. `claims` are the names in `spec.resourceClaims`.
pub fn of_container(resources: &Value, claims: &BTreeSet<&str>, path: &Path, errors: &mut FieldErrors) {
    requirements(resources, path, errors);
    let path = path.child("claims");
    let mut seen = BTreeSet::new();
    for (index, claim) in list(resources, "claims").iter().enumerate() {
        let (path, name) = (path.index(index), text(claim, "name"));
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        let key = match text(claim, "request") {
            "" => name.to_owned(),
            request => format!("{name}/{request}"),
        };
        if !seen.insert(key.clone()) {
            errors.push(FieldError::duplicate(&path, key));
        }
        if !claims.contains(name) {
            let mut error = FieldError::not_found(&path, name);
            error.detail = "must be one of the names in pod.spec.resourceClaims".to_owned();
            error.detail.push_str(&match claims.len() {
                0 => " which is empty".to_owned(),
                _ => format!(": {}", claims.iter().copied().collect::<Vec<_>>().join(", ")),
            });
            errors.push(error);
        }
    }
}

/// Checks the requests and limits of a container or a pod.
pub fn requirements(resources: &Value, path: &Path, errors: &mut FieldErrors) {
    let (limits, requests) = (path.child("limits"), path.child("requests"));
    let (mut basic, mut huge) = (false, false);
    let mut note = |name: &str| {
        basic |= matches!(name, "cpu" | "memory");
        huge |= name.starts_with(HUGE_PAGES);
    };
    for (name, quantity) in entries(resources, "limits") {
        note(name);
        one(name, quantity, &limits.key(name), errors);
    }
    for (name, quantity) in entries(resources, "requests") {
        note(name);
        let Some(request) = one(name, quantity, &requests.key(name), errors) else { continue };
        match Quantity::from_value(at(at(resources, "limits"), name)) {
            Some(limit) if request != limit && !may_overcommit(name) => {
                let why = format!("must be equal to {name} limit of {limit}");
                errors.push(FieldError::invalid(&requests, request.to_string(), why));
            }
            Some(limit) if request > limit => {
                let why = format!("must be less than or equal to {name} limit of {limit}");
                errors.push(FieldError::invalid(&requests, request.to_string(), why));
            }
            None if !may_overcommit(name) => {
                let why = "Limit must be set for non overcommitable resources";
                errors.push(FieldError::required(&limits, why));
            }
            _ => {}
        }
    }
    if huge && !basic {
        errors.push(FieldError::forbidden(path, "HugePages require cpu or memory"));
    }
}

/// Checks the name and the amount of one resource.
fn one(name: &str, quantity: &Value, path: &Path, errors: &mut FieldErrors) -> Option<Quantity> {
    resource_name(name, path, errors);
    let quantity = Quantity::from_value(quantity)?;
    if quantity.sign() < 0 {
        errors.push(FieldError::invalid(path, quantity.to_string(), super::check::NOT_NEGATIVE));
    }
    if is_whole(name) && quantity.milli_value() % 1000 != 0 {
        errors.push(FieldError::invalid(path, quantity.to_string(), "must be an integer"));
    }
    if let Some(size) = name.strip_prefix(HUGE_PAGES).and_then(|size| Quantity::parse(size).ok())
        && (size.value() <= 0 || quantity.value() % size.value() != 0)
    {
        let why = format!("{quantity} is not positive integer multiple of {name}");
        errors.push(FieldError::invalid(path, quantity.to_string(), why));
    }
    Some(quantity)
}

fn resource_name(name: &str, path: &Path, errors: &mut FieldErrors) {
    let wrong = names::qualified_name(name);
    if !wrong.is_empty() {
        super::check::each(wrong, name, path, errors);
        return;
    }
    if !name.contains('/') {
        let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with(HUGE_PAGES);
        if !standard {
            errors.push(FieldError::invalid(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !names::qualified_name(&format!("requests.{name}")).is_empty() {
        errors.push(FieldError::invalid(path, name, "doesn't follow extended resource name standard"));
    }
}

/// Checks the resources of a whole pod, and that its containers fit into them.
pub fn of_pod(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    let resources = at(spec, "resources");
    if !resources.is_object() {
        return;
    }
    if !list(resources, "claims").is_empty() {
        let why = "claims cannot be set for Resources at pod-level";
        errors.push(FieldError::forbidden(&path.child("claims"), why));
    }
    requirements(resources, path, errors);
    for (index, container) in list(spec, "containers").iter().enumerate() {
        for (name, limit) in entries(at(container, "resources"), "limits") {
            let Some(limit) = Quantity::from_value(limit) else { continue };
            let Some(whole) = Quantity::from_value(at(at(resources, "limits"), name)) else { continue };
            if limit > whole {
                let path = path.child("containers").index(index).key(name).child("limits");
                let why = format!("must be less than or equal to pod limits of {whole}");
                errors.push(FieldError::invalid(&path, limit.to_string(), why));
            }
        }
    }
}
