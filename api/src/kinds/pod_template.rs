//! PodTemplate: a pod as it is to be, for whoever makes pods of it. No controller acts on it.

use super::{ALL_VERBS, KindDef, NAME, Strategy, TableDef, column, generation, row};
use crate::field::{FieldErrors, Path};
use crate::validation::value::{at, object_mut};
use crate::validation::{pod_defaults, pod_spec, warnings};
use serde_json::Value;

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "PodTemplate",
    plural: "podtemplates",
    singular: "podtemplate",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.core.v1.PodTemplate",
    table: TableDef {
        columns: &[NAME, column("Containers"), column("Images"), column("Pod Labels")],
        row: cells,
    },
    selectable: &[],
    strategy: &PodTemplate,
    deprecation: "",
    view: None,
};

struct PodTemplate;

impl Strategy for PodTemplate {
    fn default(&self, object: &mut Value) {
        if let Some(template) = object_mut(object, "template") {
            pod_defaults::template(template);
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        generation::start(object);
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        generation::carry_with_field(new, old, "template");
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        pod_spec::template(at(object, "template"), &Path::new("template"), &mut errors);
        errors
    }

    fn validate_update(&self, new: &Value, _old: &Value) -> FieldErrors {
        self.validate(new)
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        warnings::pod_spec(at(at(object, "template"), "spec"), &Path::new("template").child("spec"))
    }
}

fn cells(object: &Value, _now: i64) -> Vec<Value> {
    let (names, images) = row::containers(at(at(object, "template"), "spec"));
    let labels = row::labels(object, &["template", "metadata", "labels"]);
    vec![row::name(object), names.into(), images.into(), labels.into()]
}
