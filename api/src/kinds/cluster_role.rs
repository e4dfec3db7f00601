//! ClusterRole: what may be done in the whole cluster, or in any namespace that binds it.

use super::{ALL_VERBS, KindDef, Strategy, TableDef, rbac};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::selector::validate_label_selector;
use crate::validation::value::{at, has, list};
use serde_json::Value;

pub(super) static KIND: KindDef = KindDef {
    group: rbac::GROUP,
    version: "v1",
    kind: "ClusterRole",
    plural: "clusterroles",
    singular: "clusterrole",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.rbac.v1.ClusterRole",
    table: TableDef { columns: rbac::ROLE_COLUMNS, row: rbac::role_cells },
    selectable: &[],
    strategy: &ClusterRole,
    deprecation: "",
    view: None,
};

struct ClusterRole;

impl Strategy for ClusterRole {
    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        rbac::rules(object, false, &mut errors);
        if !has(object, "aggregationRule") {
            return errors;
        }
        let path = Path::new("aggregationRule").child("clusterRoleSelectors");
        let selectors = list(at(object, "aggregationRule"), "clusterRoleSelectors");
        if selectors.is_empty() {
            let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errors.push(FieldError::required(&path, why));
        }
        for (index, selector) in selectors.iter().enumerate() {
            errors.extend(validate_label_selector(selector, &path.index(index)));
        }
        errors
    }

    fn validate_update(&self, new: &Value, _old: &Value) -> FieldErrors {
        self.validate(new)
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::name_is_path_segment(name, prefix)
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}
