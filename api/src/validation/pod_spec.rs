//! The spec of a pod, in a pod or in a template: the order of its rules.

use super::container::{self, Surroundings};
use super::value::{at, flag, has, int, list, text};
use super::{affinity, check, dns, port, resource, security, spread, toleration, volume};
use crate::field::{FieldError, FieldErrors, Path};
use crate::meta;
use crate::names;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const MIRROR: &str = "kubernetes.io/config.mirror";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Checks a pod beyond its metadata.
pub fn pod(pod: &Value, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = at(pod, "spec");
    annotations(pod, spec, &Path::new("metadata").child("annotations"), errors);
    pod_spec(spec, Some(meta::name(pod)), true, &path, errors);
    if text(spec, "serviceAccountName").is_empty() {
        tokens_without_account(spec, &path, errors);
    }
    for field in ["containers", "initContainers"] {
        for (index, container) in list(spec, field).iter().enumerate() {
            image_spaces(container, &path.child(field).index(index), errors);
        }
    }
}

/// An image's name is not padded. Templates may hold what a client replaces before it makes pods.
pub fn image_spaces(container: &Value, path: &Path, errors: &mut FieldErrors) {
    let image = text(container, "image");
    if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        errors.push(FieldError::invalid(&path.child("image"), image, why));
    }
}

/// Checks a pod template.
pub fn template(template: &Value, path: &Path, errors: &mut FieldErrors) {
    if let Some(labels) = meta::labels(template) {
        meta::validate_labels(errors, &path.child("labels"), labels);
    }
    let spec = at(template, "spec");
    annotations(template, spec, &path.child("annotations"), errors);
    pod_spec(spec, None, false, &path.child("spec"), errors);
    if !list(spec, "ephemeralContainers").is_empty() {
        let path = path.child("spec").child("ephemeralContainers");
        let why = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden(&path, why));
    }
}

/// Annotations that mean something to Kubernetes.
fn annotations(object: &Value, spec: &Value, path: &Path, errors: &mut FieldErrors) {
    if let Some(value) = meta::annotation(object, MIRROR).filter(|_| text(spec, "nodeName").is_empty()) {
        let why = "must set spec.nodeName if mirror pod annotation is set";
        errors.push(FieldError::invalid(&path.key(MIRROR), value, why));
    }
    if let Some(cost) = meta::annotation(object, DELETION_COST) {
        // The form is that of the number when it is written again.
        if cost.parse::<i32>().map(|number| number.to_string()).as_deref() != Ok(cost) {
            let why = "must be a 32bit integer";
            errors.push(FieldError::invalid(&path.key(DELETION_COST), cost, why));
        }
    }
}

fn tokens_without_account(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        for (place, source) in list(at(volume, "projected"), "sources").iter().enumerate() {
            if has(source, "serviceAccountToken") {
                let path = path.child("volumes").index(index).child("projected");
                let path = path.child("sources").index(place).child("serviceAccountToken");
                let why = "must not be specified when serviceAccountName is not set";
                errors.push(FieldError::forbidden(&path, why));
            }
        }
    }
}

/// Checks a pod's spec in Kubernetes' order. `is_pod`: it is a pod's own and not a template's.
fn pod_spec(spec: &Value, pod_name: Option<&str>, is_pod: bool, path: &Path, errors: &mut FieldErrors) {
    let at_field = |field: &str| path.child(field);
    let grace = int(spec, "terminationGracePeriodSeconds");
    if grace.is_none() {
        errors.push(FieldError::required(&at_field("terminationGracePeriodSeconds"), ""));
    }
    let around = Surroundings {
        volumes: volume::volumes(spec, pod_name, &at_field("volumes"), errors),
        claims: list(spec, "resourceClaims").iter().map(|claim| text(claim, "name")).collect::<BTreeSet<_>>(),
        grace,
        restart_policy: text(spec, "restartPolicy"),
        host_users: at(spec, "hostUsers").as_bool() != Some(false),
    };
    claims(spec, &at_field("resourceClaims"), errors);
    let (regular, init) = (list(spec, "containers"), list(spec, "initContainers"));
    container::containers(regular, &around, &at_field("containers"), errors);
    container::init_containers(init, regular, &around, &at_field("initContainers"), errors);
    resource::of_pod(spec, &at_field("resources"), errors);
    if flag(spec, "hostNetwork") {
        port::host_network(regular, is_pod, &at_field("containers"), errors);
    }
    check::required_one_of(spec, "restartPolicy", &["Always", "OnFailure", "Never"], path, errors);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    check::required_one_of(spec, "dnsPolicy", &policies, path, errors);
    if let Some(labels) = at(spec, "nodeSelector").as_object() {
        meta::validate_labels(errors, &at_field("nodeSelector"), labels);
    }
    security::of_pod(spec, &at_field("securityContext"), errors);
    affinity::affinity(at(spec, "affinity"), &at_field("affinity"), errors);
    dns::config(spec, &at_field("dnsConfig"), errors);
    gates(spec, path, errors);
    spread::constraints(
        list(spec, "topologySpreadConstraints"),
        &at_field("topologySpreadConstraints"),
        errors,
    );
    if !around.host_users {
        own_users(spec, path, errors);
    }
    identity(spec, path, errors);
    toleration::tolerations(list(spec, "tolerations"), &at_field("tolerations"), errors);
    dns::host_aliases(list(spec, "hostAliases"), &at_field("hostAliases"), errors);
    classes(spec, path, errors);
}

fn claims(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for (index, claim) in list(spec, "resourceClaims").iter().enumerate() {
        let path = path.index(index);
        let name = text(claim, "name");
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        } else if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        } else {
            check::each(names::dns1123_label(name), name, &path.child("name"), errors);
        }
        let shown = json!({
            "Name": name, "ResourceClaimName": at(claim, "resourceClaimName"),
            "ResourceClaimTemplateName": at(claim, "resourceClaimTemplateName"),
        });
        match (has(claim, "resourceClaimName"), has(claim, "resourceClaimTemplateName")) {
            (true, true) => {
                let why =
                    "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
                errors.push(FieldError::invalid(&path, shown, why));
            }
            (false, false) => {
                let why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
                errors.push(FieldError::invalid(&path, shown, why));
            }
            _ => {}
        }
        for field in ["resourceClaimName", "resourceClaimTemplateName"].into_iter().filter(|f| has(claim, f))
        {
            let name = text(claim, field);
            check::each(names::dns1123_subdomain(name), name, &path.child(field), errors);
        }
    }
}

/// Readiness and scheduling gates.
fn gates(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    for (index, gate) in list(spec, "readinessGates").iter().enumerate() {
        let path = path.child("readinessGates").index(index).child("conditionType");
        let name = text(gate, "conditionType");
        check::each(names::qualified_name(name), name, &path, errors);
    }
    let mut seen = BTreeSet::new();
    for (index, gate) in list(spec, "schedulingGates").iter().enumerate() {
        let path = path.child("schedulingGates").index(index);
        let name = text(gate, "name");
        check::each(names::qualified_name(name), name, &path, errors);
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
    }
}

/// A pod with users of its own shares no other namespace with the host.
fn own_users(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if flag(spec, field) {
            let why = "when `pod.Spec.HostUsers` is false";
            errors.push(FieldError::forbidden(&path.child(shown), why));
        }
    }
}

/// Where and as whom the pod runs.
fn identity(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    for field in ["serviceAccountName", "nodeName"] {
        let name = text(spec, field);
        if !name.is_empty() {
            check::each(names::dns1123_subdomain(name), name, &path.child(field), errors);
        }
    }
    if let Some(seconds) = int(spec, "activeDeadlineSeconds")
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let why = "must be between 1 and 2147483647, inclusive";
        errors.push(FieldError::invalid(&path.child("activeDeadlineSeconds"), seconds, why));
    }
    for field in ["hostname", "subdomain"] {
        let name = text(spec, field);
        if !name.is_empty() {
            check::each(names::dns1123_label(name), name, &path.child(field), errors);
        }
    }
}

fn classes(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    for field in ["priorityClassName", "runtimeClassName"] {
        let name = text(spec, field);
        if has(spec, field) && !(name.is_empty() && field == "priorityClassName") {
            check::each(names::dns1123_subdomain(name), name, &path.child(field), errors);
        }
    }
    check::optional_one_of(spec, "preemptionPolicy", &["PreemptLowerPriority", "Never"], path, errors);
    if has(spec, "overhead") {
        resource::requirements(&json!({"limits": at(spec, "overhead")}), &path.child("overhead"), errors);
    }
    if has(spec, "os") {
        let path = path.child("os");
        match text(at(spec, "os"), "name") {
            "" => errors.push(FieldError::required(&path.child("name"), "cannot be empty")),
            name => check::one_of(name, &["linux", "windows"], &path, errors),
        }
    }
}
