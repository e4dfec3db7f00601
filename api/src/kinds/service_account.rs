//! ServiceAccount: who a pod is to the API.

use super::{AGE, ALL_VERBS, KindDef, NAME, Strategy, Subresource, TableDef, row};
use serde_json::Value;

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[Subresource {
        name: "token",
        kind: "TokenRequest",
        group_version: Some(("authentication.k8s.io", "v1")),
        verbs: &["create"],
    }],
    schema: "io.k8s.api.core.v1.ServiceAccount",
    table: TableDef { columns: &[NAME, AGE], row: cells },
    selectable: &[],
    strategy: &ServiceAccount,
    deprecation: "",
    view: None,
};

struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    vec![row::name(object), row::age(object, now)]
}
