//! Role: what may be done in a namespace.

use super::{ALL_VERBS, KindDef, Strategy, TableDef, rbac};
use crate::field::FieldErrors;
use crate::names;
use serde_json::Value;

pub(super) static KIND: KindDef = KindDef {
    group: rbac::GROUP,
    version: "v1",
    kind: "Role",
    plural: "roles",
    singular: "role",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.rbac.v1.Role",
    table: TableDef { columns: rbac::ROLE_COLUMNS, row: rbac::role_cells },
    selectable: &[],
    strategy: &Role,
    deprecation: "",
    view: None,
};

struct Role;

impl Strategy for Role {
    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        rbac::rules(object, true, &mut errors);
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
