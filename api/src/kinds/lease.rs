//! Lease: who leads, and which node is alive.

use super::{AGE, ALL_VERBS, KindDef, NAME, Strategy, TableDef, column, row};
use crate::field::{FieldError, FieldErrors, Path};
use crate::validation::value::{at, has, int, text};
use serde_json::Value;

pub(super) static KIND: KindDef = KindDef {
    group: "coordination.k8s.io",
    version: "v1",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.coordination.v1.Lease",
    table: TableDef { columns: &[NAME, column("Holder"), AGE], row: cells },
    selectable: &[],
    strategy: &Lease,
    deprecation: "",
    view: None,
};

struct Lease;

impl Strategy for Lease {
    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let (spec, path) = (at(object, "spec"), Path::new("spec"));
        if let Some(seconds) = int(spec, "leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
            let path = path.child("leaseDurationSeconds");
            errors.push(FieldError::invalid(&path, seconds, "must be greater than 0"));
        }
        if let Some(count) = int(spec, "leaseTransitions").filter(|count| *count < 0) {
            let path = path.child("leaseTransitions");
            errors.push(FieldError::invalid(&path, count, "must be greater than or equal to 0"));
        }
        strategy(spec, &path, &mut errors);
        errors
    }

    fn validate_update(&self, new: &Value, _old: &Value) -> FieldErrors {
        self.validate(new)
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

/// The fields of coordinated leader election.
fn strategy(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    if has(spec, "strategy") && text(spec, "strategy") != "OldestEmulationVersion" {
        let path = path.child("strategy");
        errors.push(FieldError::not_supported(&path, text(spec, "strategy"), &["OldestEmulationVersion"]));
    }
    if has(spec, "preferredHolder") && !has(spec, "strategy") {
        let path = path.child("preferredHolder");
        let why = "strategy must be specified when preferredHolder is set";
        errors.push(FieldError::forbidden(&path, why));
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    vec![row::name(object), Value::from(text(at(object, "spec"), "holderIdentity")), row::age(object, now)]
}
