//! Node: a machine that runs pods.

use super::{AGE, ALL_VERBS, KindDef, NAME, Strategy, TableDef, column, proxy_of, row, status_of, wide};
use crate::field::{FieldError, FieldErrors, Path};
use crate::validation::value::{
    at, carry_over, entries, flag, is_empty, list, object_mut, same, set, size, text, texts,
};
use crate::validation::{go_value, network, taint};
use serde_json::{Value, json};

/// Labels whose suffix is a role of the node.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
/// The older label whose value is the role.
const ROLE_LABEL: &str = "kubernetes.io/role";

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[proxy_of("NodeProxyOptions"), status_of("Node")],
    schema: "io.k8s.api.core.v1.Node",
    table: TableDef {
        columns: &[
            NAME,
            column("Status"),
            column("Roles"),
            AGE,
            column("Version"),
            wide("Internal-IP"),
            wide("External-IP"),
            wide("OS-Image"),
            wide("Kernel-Version"),
            wide("Container-Runtime"),
        ],
        row: cells,
    },
    selectable: &[("spec.unschedulable", |object| flag(at(object, "spec"), "unschedulable").to_string())],
    strategy: &Node,
    deprecation: "",
    view: None,
};

struct Node;

impl Strategy for Node {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = object_mut(object, "spec") {
            network::sync_singular(spec, "podCIDR", "podCIDRs", None);
        }
        let Some(status) = object_mut(object, "status") else { return };
        if size(status, "allocatable") == 0 && size(status, "capacity") > 0 {
            let capacity = at(status, "capacity").clone();
            set(status, "allocatable", capacity);
        }
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "status");
    }

    fn prepare_subresource_update(&self, _subresource: &str, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let spec = at(object, "spec");
        taint::taints(list(spec, "taints"), &Path::new("metadata").child("taints"), &mut errors);
        let path = Path::new("spec").child("podCIDRs");
        let cidrs = texts(spec, "podCIDRs");
        for (index, cidr) in cidrs.iter().enumerate() {
            network::cidr(cidr, &path.index(index), &mut errors);
        }
        if cidrs.len() > 1 && (cidrs.len() > 2 || !network::is_dual_stack(&cidrs)) {
            let why = "may specify no more than one CIDR for each IP family";
            errors.push(FieldError::invalid(&path, json!(cidrs), why));
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = self.validate(new);
        changes(new, old, &mut errors);
        errors
    }

    fn validate_subresource_update(&self, _subresource: &str, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        changes(new, old, &mut errors);
        errors
    }
}

/// What an update may not change.
fn changes(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let addresses = list(at(new, "status"), "addresses");
    for (index, address) in addresses.iter().enumerate() {
        if addresses[..index].iter().any(|other| same(other, address)) {
            let path = Path::new("status").child("addresses").index(index);
            let mut error = FieldError::duplicate(&path, Value::Null);
            error.shown = Some(go_value::compact("NodeAddress", address));
            errors.push(error);
        }
    }
    let (spec, was) = (at(new, "spec"), at(old, "spec"));
    let path = Path::new("spec");
    if !list(was, "podCIDRs").is_empty() && at(spec, "podCIDRs") != at(was, "podCIDRs") {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        errors.push(FieldError::forbidden(&path.child("podCIDRs"), why));
    }
    if !text(was, "providerID").is_empty() && text(spec, "providerID") != text(was, "providerID") {
        let why = "node updates may not change providerID except from \"\" to valid";
        errors.push(FieldError::forbidden(&path.child("providerID"), why));
    }
    let protected = ["externalID", "configSource", "externalIP"];
    if protected.iter().any(|field| !same(at(spec, field), at(was, field)) && !is_empty(at(was, field))) {
        let why = "node updates may only change labels, taints, or capacity (or configSource, if the \
                   DynamicKubeletConfig feature gate is enabled)";
        errors.push(FieldError::forbidden(&Path::new("[]"), why));
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    let status = at(object, "status");
    let info = at(status, "nodeInfo");
    let known = |field: &str| match text(info, field) {
        "" => Value::from("<unknown>"),
        value => Value::from(value),
    };
    let address = |kind: &str| {
        let found = list(status, "addresses").iter().find(|address| text(address, "type") == kind);
        row::or_none(found.map(|address| text(address, "address")).unwrap_or_default())
    };
    vec![
        row::name(object),
        ready(object).into(),
        roles(object).into(),
        row::age(object, now),
        text(info, "kubeletVersion").into(),
        address("InternalIP"),
        address("ExternalIP"),
        known("osImage"),
        known("kernelVersion"),
        known("containerRuntimeVersion"),
    ]
}

fn ready(object: &Value) -> String {
    let conditions = list(at(object, "status"), "conditions");
    let mut state = match conditions.iter().find(|condition| text(condition, "type") == "Ready") {
        Some(condition) if text(condition, "status") == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if flag(at(object, "spec"), "unschedulable") {
        state.push_str(",SchedulingDisabled");
    }
    state
}

fn roles(object: &Value) -> String {
    let mut roles = entries(at(object, "metadata"), "labels")
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => Some(role),
            None => value.as_str().filter(|_| key == ROLE_LABEL),
        })
        .filter(|role| !role.is_empty())
        .collect::<Vec<_>>();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { row::NONE.to_owned() } else { roles.join(",") }
}
