//! ReplicaSet: a number of pods of one template.

use super::deployment::SCALE;
use super::{AGE, ALL_VERBS, Column, KindDef, NAME, Strategy, TableDef, generation, row, status_of, wide};
use crate::field::{FieldErrors, Path};
use crate::validation::value::{at, carry_over, default_to, int, object_mut, set};
use crate::validation::{check, pod_defaults, warnings, workload};
use serde_json::{Value, json};

const fn number(name: &'static str) -> Column {
    Column { name, kind: "integer", format: "", priority: 0, description: "" }
}

pub(super) static KIND: KindDef = KindDef {
    group: "apps",
    version: "v1",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[SCALE, status_of("ReplicaSet")],
    schema: "io.k8s.api.apps.v1.ReplicaSet",
    table: TableDef {
        columns: &[
            NAME,
            number("Desired"),
            number("Current"),
            number("Ready"),
            AGE,
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ],
        row: cells,
    },
    selectable: &[("status.replicas", |object| {
        int(at(object, "status"), "replicas").unwrap_or_default().to_string()
    })],
    strategy: &ReplicaSet,
    deprecation: "",
    view: None,
};

struct ReplicaSet;

impl Strategy for ReplicaSet {
    fn default(&self, object: &mut Value) {
        let Some(spec) = object_mut(object, "spec") else { return };
        default_to(spec, "replicas", 1);
        if let Some(template) = object_mut(spec, "template") {
            pod_defaults::template(template);
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        set(object, "status", json!({"replicas": 0}));
        generation::start(object);
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "status");
        generation::carry_with_field(new, old, "spec");
    }

    fn prepare_subresource_update(&self, _subresource: &str, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
        generation::carry(new, old, false);
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        let spec = at(at(at(object, "spec"), "template"), "spec");
        warnings::pod_spec(spec, &Path::new("spec").child("template").child("spec"))
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let (spec, path) = (at(object, "spec"), Path::new("spec"));
        check::not_negative(spec, "replicas", &path, &mut errors);
        check::not_negative(spec, "minReadySeconds", &path, &mut errors);
        workload::selector_and_template(spec, &path, &mut errors);
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = self.validate(new);
        workload::selector_is_immutable(new, old, &mut errors);
        errors
    }

    fn validate_subresource_update(&self, _subresource: &str, new: &Value, _old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let parts = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
        let all = [
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "observedGeneration",
            "terminatingReplicas",
        ];
        workload::counts(at(new, "status"), &all, &parts, &mut errors);
        errors
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (at(object, "spec"), at(object, "status"));
    let (names, images) = row::containers(at(at(spec, "template"), "spec"));
    vec![
        row::name(object),
        int(spec, "replicas").unwrap_or_default().into(),
        int(status, "replicas").unwrap_or_default().into(),
        int(status, "readyReplicas").unwrap_or_default().into(),
        row::age(object, now),
        names.into(),
        images.into(),
        row::selector(at(spec, "selector")).into(),
    ]
}
