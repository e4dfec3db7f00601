//! Approval, denial and failure of a certificate signing request.

use crate::field::{FieldError, FieldErrors, Path};
use crate::validation::value::{at, has, list, list_mut, object_mut, same, set, text};
use serde_json::Value;

const KNOWN: [&str; 3] = ["Approved", "Denied", "Failed"];

fn find<'a>(object: &'a Value, kind: &str) -> Vec<&'a Value> {
    let conditions = list(at(object, "status"), "conditions").iter();
    conditions.filter(|condition| text(condition, "type") == kind).collect()
}

/// Checks the conditions themselves.
pub(super) fn conditions(object: &Value, errors: &mut FieldErrors) {
    let path = Path::new("status").child("conditions");
    let conditions = list(at(object, "status"), "conditions");
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        let (kind, state) = (text(condition, "type"), text(condition, "status"));
        if kind.is_empty() {
            errors.push(FieldError::required(&path.child("type"), ""));
        }
        let states: &[&str] = if KNOWN.contains(&kind) { &["True"] } else { &["False", "True", "Unknown"] };
        match state {
            "" => errors.push(FieldError::required(&path.child("status"), "")),
            _ => crate::validation::check::one_of(state, states, &path.child("status"), errors),
        }
        let before = &conditions[..index];
        let has = |kind: &str| before.iter().any(|other| text(other, "type") == kind);
        if (kind == "Approved" && has("Denied")) || (kind == "Denied" && has("Approved")) {
            let why = "Approved and Denied conditions are mutually exclusive";
            errors.push(FieldError::invalid(&path.child("type"), kind, why));
        }
        if has(kind) {
            errors.push(FieldError::duplicate(&path.child("type"), kind));
        }
    }
}

/// Checks what an update may not change; only `approval` may approve or deny.
pub(super) fn changes(new: &Value, old: &Value, approval: bool, errors: &mut FieldErrors) {
    let path = Path::new("status").child("conditions");
    for kind in KNOWN {
        if find(new, kind).len() < find(old, kind).len() {
            let why = format!("updates may not remove a condition of type \"{kind}\"");
            errors.push(FieldError::forbidden(&path, why));
        }
    }
    for kind in ["Approved", "Denied"].into_iter().filter(|_| !approval) {
        let (now, was) = (find(new, kind), find(old, kind));
        if now.len() > was.len() {
            let why = format!("updates may not add a condition of type \"{kind}\"");
            errors.push(FieldError::forbidden(&path, why));
        } else if now.len() == was.len() && now.iter().zip(&was).any(|(a, b)| !same(a, b)) {
            let why = format!("updates may not modify a condition of type \"{kind}\"");
            errors.push(FieldError::forbidden(&path, why));
        }
    }
}

/// Gives the conditions of `new` the times that its writer has left out. `now` is RFC 3339.
pub fn stamp_conditions(new: &mut Value, old: &Value, now: &str) {
    let Some(status) = object_mut(new, "status") else { return };
    for condition in list_mut(status, "conditions") {
        if !has(condition, "lastUpdateTime") {
            set(condition, "lastUpdateTime", now);
        }
        if !has(condition, "lastTransitionTime") {
            let was = find(old, text(condition, "type")).into_iter().find(|was| {
                text(was, "status") == text(condition, "status") && has(was, "lastTransitionTime")
            });
            let since = was.map_or_else(|| Value::from(now), |was| at(was, "lastTransitionTime").clone());
            set(condition, "lastTransitionTime", since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(conditions: Value) -> Value {
        json!({"status": {"conditions": conditions}})
    }

    #[test]
    fn only_approval_approves() {
        let (none, approved) = (with(json!([])), with(json!([{"type": "Approved", "status": "True"}])));
        let check = |new: &Value, old: &Value, approval: bool, want: &str| {
            let mut errors = FieldErrors::new();
            changes(new, old, approval, &mut errors);
            let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            assert_eq!(text, want);
        };
        check(&approved, &none, true, "");
        check(
            &approved,
            &none,
            false,
            "status.conditions: Forbidden: updates may not add a condition of type \"Approved\"",
        );
        check(
            &none,
            &approved,
            true,
            "status.conditions: Forbidden: updates may not remove a condition of type \"Approved\"",
        );
    }

    #[test]
    fn stamps_what_is_left_out() {
        let old = with(json!([{"type": "Approved", "status": "True", "lastTransitionTime": "then"}]));
        let mut new = with(json!([
            {"type": "Approved", "status": "True"},
            {"type": "Failed", "status": "True", "lastUpdateTime": "before"},
        ]));
        stamp_conditions(&mut new, &old, "now");
        let want = with(json!([
            {"type": "Approved", "status": "True", "lastUpdateTime": "now", "lastTransitionTime": "then"},
            {"type": "Failed", "status": "True", "lastUpdateTime": "before", "lastTransitionTime": "now"},
        ]));
        assert_eq!(new, want);
    }

    #[test]
    fn approved_and_denied_exclude_each_other() {
        let mut errors = FieldErrors::new();
        let both = json!([{"type": "Approved", "status": "True"}, {"type": "Denied", "status": "False"}]);
        conditions(&with(both), &mut errors);
        let texts = errors.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts,
            [
                "status.conditions[1].status: Unsupported value: \"False\": supported values: \"True\"",
                "status.conditions[1].type: Invalid value: \"Denied\": Approved and Denied conditions are mutually \
                 exclusive",
            ]
        );
    }
}
