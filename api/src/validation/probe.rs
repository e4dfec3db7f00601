//! Probes and lifecycle handlers of containers.

use super::check;
use super::network;
use super::value::{at, has, int, list, text};
use crate::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

/// The handlers, in the order in which they are looked at.
const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// Checks the lifecycle handlers and probes of a container. `grace` is the pod's grace period in seconds.
pub fn of_container(container: &Value, grace: Option<i64>, path: &Path, errors: &mut FieldErrors) {
    let lifecycle = at(container, "lifecycle");
    for name in ["postStart", "preStop"] {
        if has(lifecycle, name) {
            handler(at(lifecycle, name), grace, &path.child("lifecycle").child(name), errors);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if has(container, name) {
            probe(at(container, name), name, grace, &path.child(name), errors);
        }
    }
}

fn probe(probe: &Value, name: &str, grace: Option<i64>, path: &Path, errors: &mut FieldErrors) {
    handler(probe, grace, path, errors);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        check::not_negative(probe, field, path, errors);
    }
    let own = path.child("terminationGracePeriodSeconds");
    let seconds = int(probe, "terminationGracePeriodSeconds");
    if let Some(seconds) = seconds.filter(|seconds| *seconds <= 0) {
        errors.push(FieldError::invalid(&own, seconds, "must be greater than 0"));
    }
    if name == "readinessProbe" {
        if let Some(seconds) = seconds {
            errors.push(FieldError::invalid(&own, seconds, "must not be set for readinessProbes"));
        }
    } else if int(probe, "successThreshold") != Some(1) {
        let threshold = int(probe, "successThreshold").unwrap_or_default();
        errors.push(FieldError::invalid(&path.child("successThreshold"), threshold, "must be 1"));
    }
}

fn handler(handler: &Value, grace: Option<i64>, path: &Path, errors: &mut FieldErrors) {
    let mut found = false;
    for name in HANDLERS.into_iter().filter(|name| has(handler, name)) {
        if found {
            errors.push(FieldError::forbidden(&path.child(name), "may not specify more than 1 handler type"));
        } else {
            action(name, at(handler, name), grace, &path.child(name), errors);
        }
        found = true;
    }
    if !found {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
}

fn action(name: &str, action: &Value, grace: Option<i64>, path: &Path, errors: &mut FieldErrors) {
    match name {
        "exec" => {
            check::required(action, "command", path, errors);
        }
        "httpGet" => {
            check::required(action, "path", path, errors);
            network::port_or_name(at(action, "port"), &path.child("port"), errors);
            check::one_of(text(action, "scheme"), &["HTTP", "HTTPS"], &path.child("scheme"), errors);
            for header in list(action, "httpHeaders") {
                header_name(text(header, "name"), &path.child("httpHeaders"), errors);
            }
        }
        "sleep" => {
            let seconds = int(action, "seconds").unwrap_or_default();
            if let Some(grace) = grace.filter(|grace| seconds < 0 || seconds > *grace) {
                let why =
                    format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                errors.push(FieldError::invalid(path, seconds, why));
            }
        }
        _ => network::port_or_name(at(action, "port"), &path.child("port"), errors),
    }
}

fn header_name(name: &str, path: &Path, errors: &mut FieldErrors) {
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !valid {
        let why = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. \
                   'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
        errors.push(FieldError::invalid(path, name, why));
    }
}
