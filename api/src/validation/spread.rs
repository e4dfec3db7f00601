//! Topology spread constraints.

use super::check;
use super::value::{at, entries, has, int, list, text, texts};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::selector::validate_label_selector;
use serde_json::Value;

const NOT_POSITIVE: &str = "must be greater than zero";

/// Checks `spec.topologySpreadConstraints`.
pub fn constraints(constraints: &[Value], path: &Path, errors: &mut FieldErrors) {
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        let (key, action) = (text(constraint, "topologyKey"), text(constraint, "whenUnsatisfiable"));
        let skew = int(constraint, "maxSkew").unwrap_or_default();
        if skew <= 0 {
            errors.push(FieldError::invalid(&path.child("maxSkew"), skew, NOT_POSITIVE));
        }
        if key.is_empty() {
            errors.push(FieldError::required(&path.child("topologyKey"), "can not be empty"));
        }
        let actions = ["DoNotSchedule", "ScheduleAnyway"];
        check::one_of(action, &actions, &path.child("whenUnsatisfiable"), errors);
        let twin =
            |other: &Value| text(other, "topologyKey") == key && text(other, "whenUnsatisfiable") == action;
        if constraints[index + 1..].iter().any(twin) {
            let path = path.child("{topologyKey, whenUnsatisfiable}");
            errors.push(FieldError::duplicate(&path, format!("{{{key}, {action}}}")));
        }
        if let Some(least) = int(constraint, "minDomains") {
            let path = path.child("minDomains");
            if least <= 0 {
                errors.push(FieldError::invalid(&path, least, NOT_POSITIVE));
            }
            if action != "DoNotSchedule" {
                let why = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                errors.push(FieldError::invalid(&path, least, why));
            }
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            check::optional_one_of(constraint, policy, &["Honor", "Ignore"], &path, errors);
        }
        label_keys(constraint, &path.child("matchLabelKeys"), errors);
        errors.extend(validate_label_selector(at(constraint, "labelSelector"), &path.child("labelSelector")));
    }
}

fn label_keys(constraint: &Value, path: &Path, errors: &mut FieldErrors) {
    let keys = texts(constraint, "matchLabelKeys");
    if keys.is_empty() {
        return;
    }
    let selector = at(constraint, "labelSelector");
    if !has(constraint, "labelSelector") {
        let why = "must not be specified when labelSelector is not set";
        errors.push(FieldError::forbidden(path, why));
    }
    for (index, key) in keys.iter().enumerate() {
        check::each(names::qualified_name(key), key, &path.index(index), errors);
    }
    keys_in_selector(&keys, selector, path, errors);
}

/// Refuses a key that a selector names twice: once by itself and once for `matchLabelKeys`, whose values have
/// been written into it when the pod was made.
pub fn keys_in_selector(keys: &[&str], selector: &Value, path: &Path, errors: &mut FieldErrors) {
    let mut named = entries(selector, "matchLabels").map(|(name, _)| name).collect::<Vec<_>>();
    for expression in list(selector, "matchExpressions") {
        let key = text(expression, "key");
        if let Some(index) = keys.iter().position(|other| *other == key).filter(|_| named.contains(&key)) {
            let why = "exists in both matchLabelKeys and labelSelector";
            errors.push(FieldError::invalid(&path.index(index), key, why));
        }
        named.push(key);
    }
}
