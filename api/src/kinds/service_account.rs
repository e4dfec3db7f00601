//! ServiceAccount: who a pod is to the API.

use super::{AGE, ALL_VERBS, KindDef, NAME, Strategy, Subresource, TableDef, row};
use crate::validation::value::{list_mut, text};
use serde_json::{Value, json};

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
    fn prepare_create(&self, object: &mut Value) {
        names_only(object);
    }

    fn prepare_update(&self, new: &mut Value, _old: &Value) {
        names_only(new);
    }
}

/// Secrets are in the account's own namespace: only their names count.
fn names_only(object: &mut Value) {
    for secret in list_mut(object, "secrets") {
        let name = text(secret, "name").to_owned();
        *secret = if name.is_empty() { json!({}) } else { json!({ "name": name }) };
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    vec![row::name(object), row::age(object, now)]
}
