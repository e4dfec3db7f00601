//! The reviews: questions about tokens, users and what they may do. They are answered and not stored.

use super::{KindDef, Strategy, TableDef, rbac};
use crate::field::{FieldError, FieldErrors, Path};
use crate::validation::value::{at, has, is_empty, list, text};
use serde_json::Value;

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

const fn review(
    group: &'static str,
    kind: &'static str,
    [plural, singular]: [&'static str; 2],
    schema: &'static str,
    namespaced: bool,
    strategy: &'static dyn Strategy,
) -> KindDef {
    KindDef {
        group,
        version: "v1",
        kind,
        plural,
        singular,
        short_names: &[],
        categories: &[],
        namespaced,
        verbs: &["create"],
        subresources: &[],
        schema,
        table: TableDef { columns: rbac::ROLE_COLUMNS, row: rbac::role_cells },
        selectable: &[],
        strategy,
        deprecation: "",
        view: None,
    }
}

pub(super) static TOKEN_REVIEW: KindDef = review(
    AUTHENTICATION,
    "TokenReview",
    ["tokenreviews", "tokenreview"],
    "io.k8s.api.authentication.v1.TokenReview",
    false,
    &Plain,
);
pub(super) static SELF_SUBJECT_REVIEW: KindDef = review(
    AUTHENTICATION,
    "SelfSubjectReview",
    ["selfsubjectreviews", "selfsubjectreview"],
    "io.k8s.api.authentication.v1.SelfSubjectReview",
    false,
    &Plain,
);
pub(super) static SUBJECT_ACCESS_REVIEW: KindDef = review(
    AUTHORIZATION,
    "SubjectAccessReview",
    ["subjectaccessreviews", "subjectaccessreview"],
    "io.k8s.api.authorization.v1.SubjectAccessReview",
    false,
    &Access { names_user: true, local: false },
);
pub(super) static SELF_SUBJECT_ACCESS_REVIEW: KindDef = review(
    AUTHORIZATION,
    "SelfSubjectAccessReview",
    ["selfsubjectaccessreviews", "selfsubjectaccessreview"],
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    false,
    &Access { names_user: false, local: false },
);
pub(super) static LOCAL_SUBJECT_ACCESS_REVIEW: KindDef = review(
    AUTHORIZATION,
    "LocalSubjectAccessReview",
    ["localsubjectaccessreviews", "localsubjectaccessreview"],
    "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    true,
    &Access { names_user: true, local: true },
);
pub(super) static SELF_SUBJECT_RULES_REVIEW: KindDef = review(
    AUTHORIZATION,
    "SelfSubjectRulesReview",
    ["selfsubjectrulesreviews", "selfsubjectrulesreview"],
    "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    false,
    &Plain,
);

/// Reviews without rules of their own.
struct Plain;

impl Strategy for Plain {}

/// The reviews of access. Their Status names neither kind nor object, as Kubernetes has it.
struct Access {
    /// Whether the review names a user; otherwise it is about the asking one.
    names_user: bool,
    /// Whether it is about the namespace that it is posted to.
    local: bool,
}

impl Strategy for Access {
    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let (spec, path) = (at(object, "spec"), Path::new("spec"));
        let (resource, other) = (has(spec, "resourceAttributes"), has(spec, "nonResourceAttributes"));
        if resource && other {
            let shown = at(spec, "nonResourceAttributes");
            let shown = serde_json::json!({"Path": text(shown, "path"), "Verb": text(shown, "verb")});
            let why = "cannot be specified in combination with resourceAttributes";
            errors.push(FieldError::invalid(&path.child("nonResourceAttributes"), shown, why));
        }
        if !resource && !other {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.push(FieldError::invalid(&path.child("resourceAttributes"), Value::Null, why));
        }
        if self.names_user && text(spec, "user").is_empty() && list(spec, "groups").is_empty() {
            let why = "at least one of user or group must be specified";
            errors.push(FieldError::invalid(&path.child("user"), "", why));
        }
        if self.local {
            local(object, &path, &mut errors);
        }
        errors
    }
}

fn local(object: &Value, path: &Path, errors: &mut FieldErrors) {
    let spec = at(object, "spec");
    let namespace = text(at(object, "metadata"), "namespace");
    let asked = text(at(spec, "resourceAttributes"), "namespace");
    if has(spec, "resourceAttributes") && asked != namespace {
        let path = path.child("resourceAttributes").child("namespace");
        errors.push(FieldError::invalid(&path, asked, "must match metadata.namespace"));
    }
    if !is_empty(at(spec, "nonResourceAttributes")) {
        let shown = at(spec, "nonResourceAttributes");
        let shown = serde_json::json!({"Path": text(shown, "path"), "Verb": text(shown, "verb")});
        let why = "disallowed on this kind of request";
        errors.push(FieldError::invalid(&path.child("nonResourceAttributes"), shown, why));
    }
}
