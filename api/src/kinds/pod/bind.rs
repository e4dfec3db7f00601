//! Binding: the decision that a pod runs on a node.

use crate::field::{FieldError, FieldErrors, Path};
use crate::meta;
use crate::status::Status;
use crate::validation::value::{at, entries, has, list, object_mut, set, text};
use serde_json::{Value, json};

/// Checks a Binding.
pub fn validate_binding(binding: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (target, path) = (at(binding, "target"), Path::new("target"));
    if !matches!(text(target, "kind"), "" | "Node") {
        let supported = ["Node", "<empty>"];
        errors.push(FieldError::not_supported(&path.child("kind"), text(target, "kind"), &supported));
    }
    if text(target, "name").is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    errors
}

/// Gives the pod to the node that a valid Binding names. `now` is RFC 3339. The 409 of a pod that cannot be
/// bound names the resource `pods/binding`.
pub fn bind(pod: &mut Value, binding: &Value, now: &str) -> Result<(), Status> {
    let name = meta::name(pod).to_owned();
    let refuse = |why: String| Err(Status::conflict("", "pods/binding", &name, &why));
    let spec = at(pod, "spec");
    if has(at(pod, "metadata"), "deletionTimestamp") {
        return refuse(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let node = text(spec, "nodeName");
    if !node.is_empty() {
        return refuse(format!("pod {name} is already assigned to node \"{node}\""));
    }
    if !list(spec, "schedulingGates").is_empty() {
        return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let target = text(at(binding, "target"), "name").to_owned();
    if let Some(spec) = object_mut(pod, "spec") {
        set(spec, "nodeName", target);
    }
    let annotations = entries(at(binding, "metadata"), "annotations").collect::<Vec<_>>();
    for (key, value) in annotations {
        meta::set_annotation(pod, key, value.as_str().unwrap_or_default());
    }
    if let Some(status) = object_mut(pod, "status") {
        scheduled(status, now);
    }
    Ok(())
}

/// Sets the condition that the pod has its node.
fn scheduled(status: &mut Value, now: &str) {
    let mut conditions = list(status, "conditions").to_vec();
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
    });
    match conditions.iter_mut().find(|condition| text(condition, "type") == "PodScheduled") {
        Some(there) => {
            let unchanged = text(there, "status") == "True";
            let since = at(there, "lastTransitionTime").clone();
            *there = condition;
            if unchanged {
                set(there, "lastTransitionTime", since);
            }
        }
        None => conditions.push(condition),
    }
    set(status, "conditions", conditions);
}
