//! Pod: containers that run together on a node.

mod bind;
mod disabled;
mod evict;
mod label_keys;
pub mod qos;
mod row;
mod update;

pub use bind::{bind, validate_binding};
pub use evict::mark_evicted;

use super::{
    AGE, ALL_VERBS, KindDef, NAME, Strategy, Subresource, TableDef, column, generation, proxy_of, status_of,
    wide,
};
use crate::field::{FieldError, FieldErrors, Path};
use crate::meta;
use crate::names;
use crate::validation::value::{
    at, carry_over, default_empty_to, flag, int, list, object_mut, remove, set, text,
};
use crate::validation::{network, pod_defaults, pod_spec, warnings};
use serde_json::{Value, json};

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[
        Subresource {
            name: "attach",
            kind: "PodAttachOptions",
            group_version: None,
            verbs: &["create", "get"],
        },
        Subresource { name: "binding", kind: "Binding", group_version: None, verbs: &["create"] },
        Subresource {
            name: "eviction",
            kind: "Eviction",
            group_version: Some(("policy", "v1")),
            verbs: &["create"],
        },
        Subresource { name: "exec", kind: "PodExecOptions", group_version: None, verbs: &["create", "get"] },
        Subresource { name: "log", kind: "Pod", group_version: None, verbs: &["get"] },
        Subresource {
            name: "portforward",
            kind: "PodPortForwardOptions",
            group_version: None,
            verbs: &["create", "get"],
        },
        proxy_of("PodProxyOptions"),
        status_of("Pod"),
    ],
    schema: "io.k8s.api.core.v1.Pod",
    table: TableDef {
        columns: &[
            NAME,
            column("Ready"),
            column("Status"),
            column("Restarts"),
            AGE,
            wide("IP"),
            wide("Node"),
            wide("Nominated Node"),
            wide("Readiness Gates"),
        ],
        row: row::cells,
    },
    selectable: &[
        ("spec.nodeName", |object| text(at(object, "spec"), "nodeName").to_owned()),
        // The name that this field once had.
        ("spec.host", |object| text(at(object, "spec"), "nodeName").to_owned()),
        ("spec.restartPolicy", |object| text(at(object, "spec"), "restartPolicy").to_owned()),
        ("spec.schedulerName", |object| text(at(object, "spec"), "schedulerName").to_owned()),
        ("spec.serviceAccountName", |object| text(at(object, "spec"), "serviceAccountName").to_owned()),
        ("spec.hostNetwork", |object| flag(at(object, "spec"), "hostNetwork").to_string()),
        ("status.phase", |object| text(at(object, "status"), "phase").to_owned()),
        ("status.podIP", first_address),
        ("status.podIPs", first_address),
        ("status.nominatedNodeName", |object| text(at(object, "status"), "nominatedNodeName").to_owned()),
    ],
    strategy: &Pod,
    deprecation: "",
    view: None,
};

fn first_address(object: &Value) -> String {
    let addresses = list(at(object, "status"), "podIPs");
    addresses.first().map(|address| text(address, "ip").to_owned()).unwrap_or_default()
}

struct Pod;

impl Strategy for Pod {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = object_mut(object, "spec") {
            pod_defaults::spec(spec);
            pod_defaults::of_a_pod(spec);
        }
        if let Some(status) = object_mut(object, "status") {
            // The older names of addresses.
            network::sync_singular(status, "podIP", "podIPs", Some("ip"));
            network::sync_singular(status, "hostIP", "hostIPs", Some("ip"));
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        generation::start(object);
        if let Some(spec) = object_mut(object, "spec") {
            disabled::drop(spec);
        }
        let spec = at(object, "spec");
        let mut status = json!({"phase": "Pending", "qosClass": qos::class(spec)});
        if !list(spec, "schedulingGates").is_empty() {
            status["conditions"] = json!([{
                "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }]);
        }
        set(object, "status", status);
        label_keys::resolve(object);
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "status");
        if list(at(old, "spec"), "schedulingGates").len() > list(at(new, "spec"), "schedulingGates").len() {
            ungate(new);
        }
        generation::carry_with_field(new, old, "spec");
    }

    fn prepare_subresource_update(&self, _subresource: &str, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
        generation::carry(new, old, false);
        if let (Some(metadata), was) = (new.get_mut("metadata"), at(old, "metadata")) {
            carry_over(metadata, was, "deletionTimestamp");
            carry_over(metadata, was, "ownerReferences");
        }
        if let Some(status) = object_mut(new, "status") {
            let class = text(at(old, "status"), "qosClass");
            default_empty_to(status, "qosClass", class);
        }
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        pod_spec::pod(object, &mut errors);
        let (spec, path) = (at(object, "spec"), Path::new("spec"));
        if !list(spec, "ephemeralContainers").is_empty() {
            errors.push(FieldError::forbidden(&path.child("ephemeralContainers"), "cannot be set on create"));
        }
        if !text(spec, "nodeName").is_empty() && !list(spec, "schedulingGates").is_empty() {
            let why = "cannot be set until all schedulingGates have been cleared";
            errors.push(FieldError::forbidden(&path.child("nodeName"), why));
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        pod_spec::pod(new, &mut errors);
        update::spec(new, old, &mut errors);
        errors
    }

    fn validate_subresource_update(&self, _subresource: &str, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        update::status(new, old, &mut errors);
        errors
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        let spec = at(object, "spec");
        // Who made the pod is warned; nodes that write its status are not.
        if !text(spec, "nodeName").is_empty() {
            return Vec::new();
        }
        let mut all = Vec::new();
        let wrong = names::dns1123_label(meta::name(object));
        if !wrong.is_empty() {
            all.push(format!(
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS \
                 label is recommended: [{}]",
                wrong.join(" ")
            ));
        }
        all.extend(warnings::pod_spec(spec, &Path::new("spec")));
        all
    }

    fn default_grace_period_seconds(&self, object: &Value) -> Option<i64> {
        let spec = at(object, "spec");
        let unscheduled = text(spec, "nodeName").is_empty();
        let finished = matches!(text(at(object, "status"), "phase"), "Failed" | "Succeeded");
        // Nothing runs that would need time to end.
        if unscheduled || finished {
            Some(0)
        } else {
            int(spec, "terminationGracePeriodSeconds").or(Some(30))
        }
    }
}

/// Takes back the condition that says that gates hold the pod, when the last one has gone.
fn ungate(object: &mut Value) {
    if !list(at(object, "spec"), "schedulingGates").is_empty() {
        return;
    }
    let Some(status) = object_mut(object, "status") else { return };
    let kept = list(status, "conditions").iter().filter(|condition| {
        text(condition, "type") != "PodScheduled" || text(condition, "reason") != "SchedulingGated"
    });
    let kept = kept.cloned().collect::<Vec<_>>();
    if kept.is_empty() {
        remove(status, "conditions");
    } else {
        set(status, "conditions", kept);
    }
}
