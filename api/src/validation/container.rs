//! Containers and init containers of a pod.

use super::value::{at, has, list, text};
use super::{check, env, mount, port, probe, resource, security};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What of the pod the rules of its containers depend on.
pub struct Surroundings<'a> {
    /// The valid volumes by name.
    pub volumes: BTreeMap<&'a str, &'a Value>,
    /// The names of the pod's resource claims.
    pub claims: BTreeSet<&'a str>,
    /// `terminationGracePeriodSeconds`.
    pub grace: Option<i64>,
    /// The pod's restart policy.
    pub restart_policy: &'a str,
    /// Whether it runs in the host's user namespace.
    pub host_users: bool,
}

/// Checks `spec.containers`.
pub fn containers(list: &[Value], around: &Surroundings<'_>, path: &Path, errors: &mut FieldErrors) {
    if list.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let mut names = BTreeSet::new();
    for (index, container) in list.iter().enumerate() {
        let path = path.index(index);
        common(container, around, &path, errors);
        if !names.insert(text(container, "name")) {
            errors.push(FieldError::duplicate(&path.child("name"), text(container, "name")));
        }
        probe::of_container(container, around.grace, &path, errors);
        if has(container, "restartPolicy") {
            restart_rules(container, around, &path, errors);
        }
    }
    port::host_port_conflicts(list, path, errors);
}

/// Checks `spec.initContainers`. `regular` are the pod's other containers, whose names are taken.
pub fn init_containers(
    list: &[Value],
    regular: &[Value],
    around: &Surroundings<'_>,
    path: &Path,
    errors: &mut FieldErrors,
) {
    let mut names = regular.iter().map(|container| text(container, "name")).collect::<BTreeSet<_>>();
    for (index, container) in list.iter().enumerate() {
        let all = path;
        let path = path.index(index);
        common(container, around, &path, errors);
        let policy = text(container, "restartPolicy");
        if has(container, "restartPolicy") {
            restart_rules(container, around, &path, errors);
        }
        let name = text(container, "name");
        if names.contains(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        } else if !name.is_empty() {
            names.insert(name);
        }
        // Init containers run one by one, so each is looked at for itself.
        port::host_port_conflicts(std::slice::from_ref(container), all, errors);
        if policy == "Always" {
            probe::of_container(container, around.grace, &path, errors);
            continue;
        }
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if has(container, field) {
                let why = "may not be set for init containers without restartPolicy=Always";
                errors.push(FieldError::forbidden(&path.child(field), why));
            }
        }
    }
}

/// A container's own restart policy.
fn restart_rules(container: &Value, _around: &Surroundings<'_>, path: &Path, errors: &mut FieldErrors) {
    let allowed = ["Always", "OnFailure", "Never"];
    check::one_of(text(container, "restartPolicy"), &allowed, &path.child("restartPolicy"), errors);
}

/// What holds for every container.
fn common(container: &Value, around: &Surroundings<'_>, path: &Path, errors: &mut FieldErrors) {
    match text(container, "name") {
        "" => errors.push(FieldError::required(&path.child("name"), "")),
        name => check::each(names::dns1123_label(name), name, &path.child("name"), errors),
    }
    check::required(container, "image", path, errors);
    let policies = ["File", "FallbackToLogsOnError"];
    check::required_one_of(container, "terminationMessagePolicy", &policies, path, errors);
    port::ports(container, &path.child("ports"), errors);
    env::variables(container, path, errors);
    mount::mounts(container, &around.volumes, path, errors);
    let policies = ["Always", "IfNotPresent", "Never"];
    check::required_one_of(container, "imagePullPolicy", &policies, path, errors);
    resource::of_container(at(container, "resources"), &around.claims, &path.child("resources"), errors);
    resize_policies(container, around, &path.child("resizePolicy"), errors);
    let context = at(container, "securityContext");
    security::of_container(context, around.host_users, &path.child("securityContext"), errors);
}

fn resize_policies(container: &Value, around: &Surroundings<'_>, path: &Path, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for (index, policy) in list(container, "resizePolicy").iter().enumerate() {
        let (resource, restart) = (text(policy, "resourceName"), text(policy, "restartPolicy"));
        if !seen.insert(resource) {
            errors.push(FieldError::duplicate(&path.index(index), resource));
        }
        match resource {
            "" => errors.push(FieldError::required(path, "")),
            _ => check::one_of(resource, &["cpu", "memory"], path, errors),
        }
        match restart {
            "" => errors.push(FieldError::required(path, "")),
            _ => check::one_of(restart, &["NotRequired", "RestartContainer"], path, errors),
        }
        if around.restart_policy == "Never" && restart != "NotRequired" {
            let why = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            errors.push(FieldError::invalid(path, restart, why));
        }
    }
}
