//! ClusterRoleBinding: who may do in the whole cluster what a role says.

use super::{ALL_VERBS, KindDef, Strategy, TableDef, rbac};
use crate::field::FieldErrors;
use crate::names;
use serde_json::Value;

pub(super) static KIND: KindDef = KindDef {
    group: rbac::GROUP,
    version: "v1",
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.rbac.v1.ClusterRoleBinding",
    table: TableDef { columns: rbac::BINDING_COLUMNS, row: rbac::binding_cells },
    selectable: &[],
    strategy: &ClusterRoleBinding,
    deprecation: "",
    view: None,
};

struct ClusterRoleBinding;

impl Strategy for ClusterRoleBinding {
    fn default(&self, object: &mut Value) {
        rbac::default_binding(object);
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        rbac::binding(object, &KIND, &["ClusterRole"])
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = self.validate(new);
        rbac::same_role(new, old, &mut errors);
        errors
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::name_is_path_segment(name, prefix)
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}
