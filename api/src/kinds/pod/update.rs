//! What an update of a pod may change, and what an update of its status may say.

use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::validation::value::{at, carry_over, dig, entries, has, int, list, same, set, size, text};
use crate::validation::{diff, go_value, network, pod_spec, toleration};
use serde_json::{Value, json};

const UPDATABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
    tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Checks the spec of an update against that of the stored pod.
pub(super) fn spec(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let (spec, was) = (at(new, "spec"), at(old, "spec"));
    for field in ["containers", "initContainers"] {
        if !containers(list(spec, field), list(was, field), &path.child(field), errors) {
            return;
        }
    }
    if !deadline(spec, was, &path.child("activeDeadlineSeconds"), errors) {
        return;
    }
    tolerations(spec, was, &path.child("tolerations"), errors);
    gates(spec, was, &path.child("schedulingGates"), errors);
    if spec == was {
        return;
    }
    let mut rest = spec.clone();
    for field in ["containers", "initContainers"] {
        let images = list(was, field).iter().map(|container| at(container, "image").clone());
        for (container, image) in crate::validation::value::list_mut(&mut rest, field).zip(images) {
            set(container, "image", image);
        }
    }
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        carry_over(&mut rest, was, field);
    }
    if int(was, "terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0)
        && int(spec, "terminationGracePeriodSeconds") == Some(1)
    {
        carry_over(&mut rest, was, "terminationGracePeriodSeconds");
    }
    if !list(was, "schedulingGates").is_empty() {
        gated(&mut rest, was, &path, errors);
    }
    if rest == *was {
        return;
    }
    // What differs may still mean the same, such as an absent and an empty list; the shown form tells.
    let (before, after) = (shown(was), shown(&rest));
    if before != after {
        let why = format!("{UPDATABLE}\n{}", diff::unified(&before, &after));
        errors.push(FieldError::forbidden(&path, why));
    }
}

/// The spec as Kubernetes has it inside, where the host's namespaces belong to the security context.
fn shown(spec: &Value) -> String {
    let mut spec = spec.clone();
    let shared = ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"];
    let fields = shared.map(|field| (field, at(&spec, field).clone()));
    if let Some(context) = crate::validation::value::object_mut(&mut spec, "securityContext") {
        for (field, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
            set(context, field, value);
        }
    }
    go_value::lines("PodSpec", &spec)
}

/// Returns whether the lists are of one length, so that the rest can be compared.
fn containers(new: &[Value], old: &[Value], path: &Path, errors: &mut FieldErrors) -> bool {
    if new.len() != old.len() {
        errors.push(FieldError::forbidden(path, "pod updates may not add or remove containers"));
        return false;
    }
    for (index, container) in new.iter().enumerate() {
        let path = path.index(index);
        if text(container, "image").is_empty() {
            errors.push(FieldError::required(&path.child("image"), ""));
        }
        pod_spec::image_spaces(container, &path, errors);
    }
    true
}

/// A deadline may be set and may come nearer. Returns whether to go on.
fn deadline(spec: &Value, was: &Value, path: &Path, errors: &mut FieldErrors) -> bool {
    match (int(spec, "activeDeadlineSeconds"), int(was, "activeDeadlineSeconds")) {
        (Some(seconds), _) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            let why = "must be between 0 and 2147483647, inclusive";
            errors.push(FieldError::invalid(path, seconds, why));
            false
        }
        (Some(seconds), Some(before)) if before < seconds => {
            let why = "must be less than or equal to previous value";
            errors.push(FieldError::invalid(path, seconds, why));
            false
        }
        (None, Some(_)) => {
            let why = "must not update from a positive integer to nil value";
            errors.push(FieldError::invalid(path, Value::Null, why));
            true
        }
        _ => true,
    }
}

/// Tolerations may be added; of those that are there only the seconds may change.
fn tolerations(spec: &Value, was: &Value, path: &Path, errors: &mut FieldErrors) {
    let new = list(spec, "tolerations");
    let alike = |a: &Value, b: &Value| {
        ["key", "operator", "value", "effect"].iter().all(|field| text(a, field) == text(b, field))
    };
    if list(was, "tolerations").iter().any(|old| !new.iter().any(|toleration| alike(toleration, old))) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden(path, why));
        return;
    }
    toleration::tolerations(new, path, errors);
}

fn gates(spec: &Value, was: &Value, path: &Path, errors: &mut FieldErrors) {
    let old = list(was, "schedulingGates");
    for (index, gate) in list(spec, "schedulingGates").iter().enumerate() {
        let name = text(gate, "name");
        if !old.iter().any(|gate| text(gate, "name") == name) {
            let why = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.push(FieldError::forbidden(&path.index(index).child("name"), why));
        }
    }
}

/// A gated pod may still be confined further: to more node labels, and by more terms of node affinity.
fn gated(rest: &mut Value, was: &Value, path: &Path, errors: &mut FieldErrors) {
    let selector = at(rest, "nodeSelector");
    if entries(was, "nodeSelector").any(|(key, value)| selector.get(key) != Some(value)) {
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        let shown = if size(rest, "nodeSelector") == 0 { Value::Null } else { selector.clone() };
        errors.push(FieldError::invalid(&path.child("nodeSelector"), shown, why));
    }
    carry_over(rest, was, "nodeSelector");
    let affinity = ["affinity", "nodeAffinity"];
    let (new, old) = (dig(rest, &affinity).clone(), dig(was, &affinity));
    if same(&new, old) {
        return;
    }
    node_affinity(&new, old, &path.child("affinity").child("nodeAffinity"), errors);
    if let Some(inner) = crate::validation::value::object_mut(rest, "affinity") {
        carry_over(inner, at(was, "affinity"), "nodeAffinity");
    }
    if same(at(rest, "affinity"), &json!({})) && !has(was, "affinity") {
        carry_over(rest, was, "affinity");
    }
}

fn node_affinity(new: &Value, old: &Value, path: &Path, errors: &mut FieldErrors) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    let terms = |affinity: &Value| list(at(affinity, REQUIRED), "nodeSelectorTerms").to_vec();
    let (new, old) = (terms(new), terms(old));
    let path = path.child(REQUIRED).child("nodeSelectorTerms");
    if old.is_empty() {
        return;
    }
    if old.len() != new.len() {
        let shown = new.iter().map(|term| go_value::compact("NodeSelectorTerm", term)).collect::<Vec<_>>();
        let shown = if shown.is_empty() { "null".to_owned() } else { format!("[{}]", shown.join(",")) };
        let why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        errors.push(FieldError::shown(&path, shown, why));
        return;
    }
    for (index, (new, old)) in new.iter().zip(&old).enumerate() {
        let only_more = ["matchExpressions", "matchFields"]
            .iter()
            .all(|field| list(new, field).starts_with(list(old, field)));
        // A term without requirements matches nothing; with one it would match something.
        let was_empty = size_of(old) == 0 && size_of(new) > 0;
        if !only_more || was_empty {
            let shown = go_value::compact("NodeSelectorTerm", new);
            let why = "only additions are allowed (no mutations or deletions)";
            errors.push(FieldError::shown(&path.index(index), shown, why));
        }
    }
}

fn size_of(term: &Value) -> usize {
    list(term, "matchExpressions").len() + list(term, "matchFields").len()
}

/// Checks an update of the status.
pub(super) fn status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let (status, was) = (at(new, "status"), at(old, "status"));
    let path = Path::new("status");
    for (index, condition) in list(status, "conditions").iter().enumerate() {
        let kind = text(condition, "type");
        if !matches!(kind, "PodScheduled" | "Ready" | "Initialized") {
            let path = Path::new("metadata").child("conditions").index(index).child("Type");
            crate::validation::check::each(names::qualified_name(kind), kind, &path, errors);
        }
    }
    let nominated = text(status, "nominatedNodeName");
    if !nominated.is_empty() && nominated != text(was, "nominatedNodeName") {
        let path = path.child("nominatedNodeName");
        crate::validation::check::each(names::dns1123_subdomain(nominated), nominated, &path, errors);
    }
    let class = text(status, "qosClass");
    if class != text(was, "qosClass") {
        errors.push(FieldError::invalid(&path.child("qosClass"), class, "field is immutable"));
    }
    let spec = at(old, "spec");
    let restart = text(spec, "restartPolicy");
    for field in ["containerStatuses", "initContainerStatuses"] {
        let containers =
            list(spec, if field == "containerStatuses" { "containers" } else { "initContainers" });
        let may_restart =
            |name: &str, code: i64| containers.iter().any(|c| text(c, "name") == name && restarts(c, code));
        transitions(list(status, field), list(was, field), restart, may_restart, &path.child(field), errors);
    }
    addresses(status, "podIPs", &path, errors);
    if let Some(first) = list(status, "hostIPs").first()
        && text(first, "ip") != text(status, "hostIP")
    {
        let path = path.child("hostIPs").index(0).child("ip");
        errors.push(FieldError::invalid(&path, text(first, "ip"), "must be equal to `hostIP`"));
    }
    addresses(status, "hostIPs", &path, errors);
}

/// Whether the container's own policy or one of its rules lets it run again after `code` (KEP-5307).
fn restarts(container: &Value, code: i64) -> bool {
    let by_rule = |rule: &Value| {
        let codes = at(rule, "exitCodes");
        let listed = list(codes, "values").iter().any(|value| value.as_i64() == Some(code));
        match text(codes, "operator") {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        }
    };
    match text(container, "restartPolicy") {
        "Always" => true,
        "OnFailure" if code != 0 => true,
        _ => list(container, "restartPolicyRules").iter().any(by_rule),
    }
}

/// A container that has ended for good does not run again.
fn transitions(
    new: &[Value],
    old: &[Value],
    restart: &str,
    may_restart: impl Fn(&str, i64) -> bool,
    path: &Path,
    errors: &mut FieldErrors,
) {
    if restart == "Always" {
        return;
    }
    for (index, before) in old.iter().enumerate() {
        let ended = dig(before, &["state", "terminated"]);
        let code = int(ended, "exitCode").unwrap_or_default();
        let name = text(before, "name");
        if !ended.is_object() || (code != 0 && restart == "OnFailure") || may_restart(name, code) {
            continue;
        }
        for _ in
            new.iter().filter(|c| text(c, "name") == name && !dig(c, &["state", "terminated"]).is_object())
        {
            let why = "may not be transitioned to non-terminated state";
            errors.push(FieldError::forbidden(&path.index(index).child("state"), why));
        }
    }
}

fn addresses(status: &Value, field: &str, path: &Path, errors: &mut FieldErrors) {
    let path = path.child(field);
    let addresses = list(status, field).iter().map(|address| text(address, "ip")).collect::<Vec<_>>();
    for (index, address) in addresses.iter().enumerate() {
        network::ip(address, &path.index(index), errors);
    }
    if addresses.len() < 2 {
        return;
    }
    let show = |address: &&str| json!({ "IP": address });
    if addresses.len() > 2 || !network::is_dual_stack(&addresses) {
        let shown = addresses.iter().map(show).collect::<Vec<_>>();
        let why = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid(&path, shown, why));
    }
    for (index, address) in addresses.iter().enumerate() {
        if addresses[..index].contains(address) {
            errors.push(FieldError::duplicate(&path.index(index), show(address)));
        }
    }
}
