//! Admission rules that follow from who is asking: nodes, those who hand out rights, those who sign certificates.

mod certificates;
mod escalation;
mod node;

use super::Auth;
use crate::admission::Admission;
use keelson_api::status::Status;
use serde_json::Value;

/// Refuses a write that identity does not permit; called after validation.
pub(super) fn validate(auth: &Auth, admission: &Admission<'_>) -> Result<(), Status> {
    node::validate(&auth.store, admission)?;
    match admission.def.group {
        "rbac.authorization.k8s.io" => escalation::validate(auth, admission),
        "certificates.k8s.io" => certificates::validate(auth, admission),
        _ => Ok(()),
    }
}

/// The 403 of an admission rule.
fn refuse(admission: &Admission<'_>, why: &str) -> Status {
    let name = if admission.name.is_empty() {
        admission.object.map(|object| text(object, "/metadata/name")).unwrap_or_default()
    } else {
        admission.name
    };
    Status::forbidden(admission.def.group, admission.def.plural, name, why)
}

/// The string at `pointer`, empty when there is none.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
