//! Deployment: pods of one template, replaced step by step when the template changes.

use super::{
    AGE, ALL_VERBS, KindDef, NAME, SUBRESOURCE_VERBS, Strategy, Subresource, TableDef, column, generation,
    row, status_of, wide,
};
use crate::field::{FieldError, FieldErrors, Path};
use crate::validation::value::{
    at, carry_over, default_empty_to, default_to, has, int, object_mut, same, set, text,
};
use crate::validation::{check, go_value, pod_defaults, warnings, workload};
use serde_json::{Value, json};

/// The `scale` subresource of workloads.
pub(super) const SCALE: Subresource = Subresource {
    name: "scale",
    kind: "Scale",
    group_version: Some(("autoscaling", "v1")),
    verbs: SUBRESOURCE_VERBS,
};

pub(super) static KIND: KindDef = KindDef {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[SCALE, status_of("Deployment")],
    schema: "io.k8s.api.apps.v1.Deployment",
    table: TableDef {
        columns: &[
            NAME,
            column("Ready"),
            column("Up-to-date"),
            column("Available"),
            AGE,
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ],
        row: cells,
    },
    selectable: &[],
    strategy: &Deployment,
    deprecation: "",
    view: None,
};

struct Deployment;

impl Strategy for Deployment {
    fn default(&self, object: &mut Value) {
        let Some(spec) = object_mut(object, "spec") else { return };
        if let Some(template) = object_mut(spec, "template") {
            pod_defaults::template(template);
        }
        default_to(spec, "replicas", 1);
        default_to(spec, "revisionHistoryLimit", 10);
        default_to(spec, "progressDeadlineSeconds", 600);
        let Some(strategy) = object_mut(spec, "strategy") else { return };
        default_empty_to(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = object_mut(strategy, "rollingUpdate")
        {
            default_to(rolling, "maxUnavailable", "25%");
            default_to(rolling, "maxSurge", "25%");
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        set(object, "status", json!({}));
        generation::start(object);
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "status");
        // Annotations count, because the controller hands them on to ReplicaSets.
        let changed = !same(at(new, "spec"), at(old, "spec"))
            || !same(&new["metadata"]["annotations"], &old["metadata"]["annotations"]);
        generation::carry(new, old, changed);
    }

    fn prepare_subresource_update(&self, _subresource: &str, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
        generation::carry(new, old, false);
        if let Some(metadata) = new.get_mut("metadata") {
            carry_over(metadata, at(old, "metadata"), "labels");
        }
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        let spec = at(at(at(object, "spec"), "template"), "spec");
        warnings::pod_spec(spec, &Path::new("spec").child("template").child("spec"))
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let (spec, path) = (at(object, "spec"), Path::new("spec"));
        check::not_negative(spec, "replicas", &path, &mut errors);
        workload::selector_and_template(spec, &path, &mut errors);
        strategy(at(spec, "strategy"), &path.child("strategy"), &mut errors);
        check::not_negative(spec, "minReadySeconds", &path, &mut errors);
        check::not_negative(spec, "revisionHistoryLimit", &path, &mut errors);
        check::not_negative(spec, "progressDeadlineSeconds", &path, &mut errors);
        if let Some(seconds) = int(spec, "progressDeadlineSeconds")
            && seconds <= int(spec, "minReadySeconds").unwrap_or_default()
        {
            let path = path.child("progressDeadlineSeconds");
            errors.push(FieldError::invalid(&path, seconds, "must be greater than minReadySeconds"));
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = self.validate(new);
        workload::selector_is_immutable(new, old, &mut errors);
        errors
    }

    fn validate_subresource_update(&self, _subresource: &str, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let parts = ["updatedReplicas", "readyReplicas", "availableReplicas"];
        let all = [
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ];
        let status = at(new, "status");
        workload::counts(status, &all, &parts, &mut errors);
        let (count, was) = (int(status, "collisionCount"), int(at(old, "status"), "collisionCount"));
        if was.is_some_and(|was| count.is_none_or(|count| count < was)) {
            let path = Path::new("status").child("collisionCount");
            let shown = at(status, "collisionCount").clone();
            errors.push(FieldError::invalid(&path, shown, "cannot be decremented"));
        }
        errors
    }
}

fn strategy(strategy: &Value, path: &Path, errors: &mut FieldErrors) {
    let at_rolling = path.child("rollingUpdate");
    let rolling = at(strategy, "rollingUpdate");
    match text(strategy, "type") {
        "Recreate" => {
            if has(strategy, "rollingUpdate") {
                let why = "may not be specified when strategy `type` is 'Recreate'";
                errors.push(FieldError::forbidden(&at_rolling, why));
            }
        }
        "RollingUpdate" => rolling_update(rolling, &at_rolling, errors),
        _ => {
            let mut error = FieldError::not_supported(path, Value::Null, &["Recreate", "RollingUpdate"]);
            error.shown = Some(go_value::compact("DeploymentStrategy", strategy));
            errors.push(error);
        }
    }
}

fn rolling_update(rolling: &Value, path: &Path, errors: &mut FieldErrors) {
    let (unavailable, surge) = (at(rolling, "maxUnavailable"), at(rolling, "maxSurge"));
    int_or_percent(unavailable, &path.child("maxUnavailable"), errors);
    int_or_percent(surge, &path.child("maxSurge"), errors);
    if amount(unavailable) == 0 && amount(surge) == 0 {
        let why = "may not be 0 when `maxSurge` is 0";
        errors.push(FieldError::invalid(&path.child("maxUnavailable"), unavailable.clone(), why));
    }
    if percent(unavailable).is_some_and(|percent| percent > 100) {
        let why = "must not be greater than 100%";
        errors.push(FieldError::invalid(&path.child("maxUnavailable"), unavailable.clone(), why));
    }
}

/// The number of `25%`.
fn percent(value: &Value) -> Option<u64> {
    let digits = value.as_str()?.strip_suffix('%')?;
    let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The number, or that of the percentage.
fn amount(value: &Value) -> i64 {
    value.as_i64().or_else(|| percent(value).map(|percent| percent.min(1 << 31) as i64)).unwrap_or_default()
}

fn int_or_percent(value: &Value, path: &Path, errors: &mut FieldErrors) {
    match value {
        Value::String(text) if percent(value).is_none() => {
            let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                       '93%', regex used for validation is '[0-9]+%')";
            errors.push(FieldError::invalid(path, text.as_str(), why));
        }
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
            errors.push(FieldError::invalid(path, value.clone(), check::NOT_NEGATIVE));
        }
        _ => {}
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (at(object, "spec"), at(object, "status"));
    let count = |field: &str| int(status, field).unwrap_or_default();
    let (names, images) = row::containers(at(at(spec, "template"), "spec"));
    vec![
        row::name(object),
        format!("{}/{}", count("readyReplicas"), int(spec, "replicas").unwrap_or_default()).into(),
        count("updatedReplicas").into(),
        count("availableReplicas").into(),
        row::age(object, now),
        names.into(),
        images.into(),
        row::selector(at(spec, "selector")).into(),
    ]
}
