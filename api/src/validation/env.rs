//! Environment variables, and the references to fields and resources that they and volumes share.

use super::check;
use super::value::{at, has, list, text};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::quantity::Quantity;
use serde_json::Value;

/// Fields of a pod that a variable may hold; sorted, as messages list them.
const VARIABLE_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Fields of a pod that a file may hold; sorted.
pub const FILE_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/// Fields that a pod has, but that nothing may refer to where it is not listed above.
const OTHER_FIELDS: &[&str] = &["status.phase", "spec.restartPolicy"];
/// Resources of a container that a variable or a file may hold; sorted.
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const HUGE_PAGES: [&str; 2] = ["limits.hugepages-", "requests.hugepages-"];
const DIVISORS: [&str; 13] =
    ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// Checks `env` and `envFrom` of one container.
pub fn variables(container: &Value, path: &Path, errors: &mut FieldErrors) {
    for (index, variable) in list(container, "env").iter().enumerate() {
        let path = path.child("env").index(index);
        match text(variable, "name") {
            "" => errors.push(FieldError::required(&path.child("name"), "")),
            name => check::each(names::env_var_name(name), name, &path.child("name"), errors),
        }
        if has(variable, "valueFrom") {
            let filled = !text(variable, "value").is_empty();
            value_from(at(variable, "valueFrom"), filled, &path.child("valueFrom"), errors);
        }
    }
    for (index, source) in list(container, "envFrom").iter().enumerate() {
        env_from(source, &path.child("envFrom").index(index), errors);
    }
}

fn value_from(source: &Value, filled: bool, path: &Path, errors: &mut FieldErrors) {
    let mut count = 0;
    let mut present = |field: &str| {
        let there = has(source, field);
        count += usize::from(there);
        there
    };
    if present("fieldRef") {
        field_ref(at(source, "fieldRef"), VARIABLE_FIELDS, &path.child("fieldRef"), errors);
    }
    if present("resourceFieldRef") {
        resource_ref(at(source, "resourceFieldRef"), false, &path.child("resourceFieldRef"), errors);
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        if present(field) {
            key_ref(at(source, field), &path.child(field), errors);
        }
    }
    if present("fileKeyRef") {
        let (source, path) = (at(source, "fileKeyRef"), path.child("fileKeyRef"));
        for field in ["volumeName", "path", "key"] {
            check::required(source, field, &path, errors);
        }
        check::file_path(text(source, "path"), &path.child("path"), errors);
    }
    let why = match count {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if filled => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(path, "", why));
}

fn env_from(source: &Value, path: &Path, errors: &mut FieldErrors) {
    let prefix = text(source, "prefix");
    if !prefix.is_empty() {
        check::each(names::env_var_name(prefix), prefix, &path.child("prefix"), errors);
    }
    let mut count = 0;
    for field in ["configMapRef", "secretRef"] {
        if !has(source, field) {
            continue;
        }
        count += 1;
        let path = path.child(field).child("name");
        match text(at(source, field), "name") {
            "" => errors.push(FieldError::required(&path, "")),
            name => check::each(names::name_is_subdomain(name, true), name, &path, errors),
        }
    }
    let why = match count {
        0 => "must specify one of: `configMapRef` or `secretRef`",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(path, "", why));
}

fn key_ref(source: &Value, path: &Path, errors: &mut FieldErrors) {
    let name = text(source, "name");
    check::each(names::name_is_subdomain(name, false), name, &path.child("name"), errors);
    match text(source, "key") {
        "" => errors.push(FieldError::required(&path.child("key"), "")),
        key => check::each(names::config_map_key(key), key, &path.child("key"), errors),
    }
}

/// Checks a reference to a field of the pod. `allowed` is sorted.
pub fn field_ref(source: &Value, allowed: &[&str], path: &Path, errors: &mut FieldErrors) {
    for field in ["apiVersion", "fieldPath"] {
        if !check::required(source, field, path, errors) {
            return;
        }
    }
    let version = text(source, "apiVersion");
    let field = match text(source, "fieldPath") {
        // The name that this field once had.
        "spec.host" => "spec.nodeName",
        field => field,
    };
    let (name, subscript) = match field.strip_suffix("']").and_then(|rest| rest.split_once("['")) {
        Some((name, subscript)) if !subscript.is_empty() => (name, Some(subscript)),
        _ => (field, None),
    };
    let subscripted = matches!(name, "metadata.annotations" | "metadata.labels");
    let known =
        VARIABLE_FIELDS.contains(&name) || FILE_FIELDS.contains(&name) || OTHER_FIELDS.contains(&name);
    if version != "v1" {
        let why = format!("error converting fieldPath: unsupported pod version: {version}");
        errors.push(FieldError::invalid(&path.child("fieldPath"), field, why));
    } else if !known || (subscript.is_some() && !subscripted) {
        let why = match subscript {
            Some(_) => format!("error converting fieldPath: field label does not support subscript: {field}"),
            None => format!("error converting fieldPath: field label not supported: {field}"),
        };
        errors.push(FieldError::invalid(&path.child("fieldPath"), field, why));
    } else if let Some(subscript) = subscript {
        let key =
            if name == "metadata.annotations" { subscript.to_lowercase() } else { subscript.to_owned() };
        check::each(names::qualified_name(&key), &key, path, errors);
    } else if !allowed.contains(&name) {
        errors.push(FieldError::not_supported(&path.child("fieldPath"), name, allowed));
    }
}

/// Checks a reference to a resource of a container; in a volume the container must be named.
pub fn resource_ref(source: &Value, in_volume: bool, path: &Path, errors: &mut FieldErrors) {
    let resource = text(source, "resource");
    let huge = HUGE_PAGES.iter().any(|prefix| resource.starts_with(prefix));
    if in_volume && text(source, "containerName").is_empty() {
        errors.push(FieldError::required(&path.child("containerName"), ""));
    } else if resource.is_empty() {
        errors.push(FieldError::required(&path.child("resource"), ""));
    } else if !huge && !RESOURCES.contains(&resource) {
        errors.push(FieldError::not_supported(&path.child("resource"), resource, RESOURCES));
    }
    let Some(divisor) = Quantity::from_value(at(source, "divisor")).filter(|divisor| !divisor.is_zero())
    else {
        return;
    };
    let (kind, allowed): (&str, &[&str]) = match resource {
        "limits.cpu" | "requests.cpu" => ("cpu", &["1m", "1"]),
        "limits.memory" | "requests.memory" => ("memory", &DIVISORS),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => ("local ephemeral storage", &DIVISORS),
        _ if huge => ("hugepages", &DIVISORS),
        _ => return,
    };
    if !allowed.contains(&divisor.to_string().as_str()) {
        let list = if kind == "cpu" { "1m and 1".to_owned() } else { allowed.join(", ") };
        let why = format!("only divisor's values {list} are supported with the {kind} resource");
        errors.push(FieldError::invalid(&path.child("divisor"), resource, why));
    }
}
