//! What RBAC's four kinds share: rules, references to roles, and subjects.

use super::{AGE, Column, KindDef, NAME, column, row, wide};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::validation::check;
use crate::validation::value::{at, default_empty_to, list, list_mut, object_mut, set, text, texts};
use serde_json::{Value, json};

pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

/// The columns of roles.
pub(super) static ROLE_COLUMNS: &[Column] =
    &[NAME, Column { name: "Created At", kind: "date", format: "", priority: 0, description: "" }];

/// The row of a role.
pub(super) fn role_cells(object: &Value, _now: i64) -> Vec<Value> {
    vec![row::name(object), text(at(object, "metadata"), "creationTimestamp").into()]
}

/// The columns of bindings.
pub(super) static BINDING_COLUMNS: &[Column] =
    &[NAME, column("Role"), AGE, wide("Users"), wide("Groups"), wide("ServiceAccounts")];

/// The row of a binding.
pub(super) fn binding_cells(object: &Value, now: i64) -> Vec<Value> {
    let role = at(object, "roleRef");
    let of = |kind: &str| {
        let subjects = list(object, "subjects").iter().filter(|subject| text(subject, "kind") == kind);
        let names = subjects.map(|subject| match kind {
            "ServiceAccount" => format!("{}/{}", text(subject, "namespace"), text(subject, "name")),
            _ => text(subject, "name").to_owned(),
        });
        Value::from(names.collect::<Vec<_>>().join(", "))
    };
    vec![
        row::name(object),
        format!("{}/{}", text(role, "kind"), text(role, "name")).into(),
        row::age(object, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}

/// Checks `rules`. Those of a namespace cannot be about paths.
pub(super) fn rules(object: &Value, namespaced: bool, errors: &mut FieldErrors) {
    for (index, rule) in list(object, "rules").iter().enumerate() {
        let path = Path::new("rules").index(index);
        let need = |field: &str, why: &str, errors: &mut FieldErrors| {
            if list(rule, field).is_empty() {
                errors.push(FieldError::required(&path.child(field), why));
            }
        };
        need("verbs", "verbs must contain at least one value", errors);
        let paths = texts(rule, "nonResourceURLs");
        if paths.is_empty() {
            need("apiGroups", "resource rules must supply at least one api group", errors);
            need("resources", "resource rules must supply at least one resource", errors);
            continue;
        }
        let path = path.child("nonResourceURLs");
        if namespaced {
            let why = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(&path, json!(paths), why));
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|field| !list(rule, field).is_empty()) {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(&path, json!(paths), why));
        }
    }
}

/// Fills in the API groups of a binding's role and subjects.
pub(super) fn default_binding(object: &mut Value) {
    if let Some(role) = object_mut(object, "roleRef") {
        default_empty_to(role, "apiGroup", GROUP);
    }
    for subject in list_mut(object, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") && text(subject, "apiGroup").is_empty() {
            set(subject, "apiGroup", GROUP);
        }
    }
}

/// Checks a binding; `roles` are the kinds of role that it may refer to.
pub(super) fn binding(object: &Value, def: &KindDef, roles: &[&str]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (role, path) = (at(object, "roleRef"), Path::new("roleRef"));
    check::one_of(text(role, "apiGroup"), &[GROUP], &path.child("apiGroup"), &mut errors);
    check::one_of(text(role, "kind"), roles, &path.child("kind"), &mut errors);
    match text(role, "name") {
        "" => errors.push(FieldError::required(&path.child("name"), "")),
        name => check::each(names::path_segment(name), name, &path.child("name"), &mut errors),
    }
    for (index, one) in list(object, "subjects").iter().enumerate() {
        subject(one, def.namespaced, &Path::new("subjects").index(index), &mut errors);
    }
    errors
}

fn subject(subject: &Value, namespaced: bool, path: &Path, errors: &mut FieldErrors) {
    let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                check::each(names::dns1123_subdomain(name), name, &path.child("name"), errors);
            }
            check::one_of(group, &[""], &path.child("apiGroup"), errors);
            if !namespaced && text(subject, "namespace").is_empty() {
                errors.push(FieldError::required(&path.child("namespace"), ""));
            }
        }
        "User" | "Group" => check::one_of(group, &[GROUP], &path.child("apiGroup"), errors),
        other => {
            check::one_of(other, &["ServiceAccount", "User", "Group"], &path.child("kind"), errors);
        }
    }
}

/// Checks that an update leaves the role of a binding as it is.
pub(super) fn same_role(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let (role, was) = (at(new, "roleRef"), at(old, "roleRef"));
    if ["apiGroup", "kind", "name"].iter().any(|field| text(role, field) != text(was, field)) {
        let shown = json!({"APIGroup": text(role, "apiGroup"), "Kind": text(role, "kind"), "Name": text(role, "name")});
        errors.push(FieldError::invalid(&Path::new("roleRef"), shown, "cannot change roleRef"));
    }
}
