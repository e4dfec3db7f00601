//! Taints of a node.

use super::go_value;
use super::value::text;
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use serde_json::Value;

/// The effects of taints and tolerations.
pub const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Checks the taints of a node, unique by key and effect.
pub fn taints(taints: &[Value], path: &Path, errors: &mut FieldErrors) {
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        let (key, value, effect) = (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        for why in names::qualified_name(key) {
            errors.push(FieldError::invalid(&path.child("key"), key, why));
        }
        let wrong = names::label_value(value);
        if !wrong.is_empty() {
            errors.push(FieldError::invalid(&path.child("value"), value, wrong.join(";")));
        }
        self::effect(effect, false, &path.child("effect"), errors);
        let twin = |other: &Value| text(other, "key") == key && text(other, "effect") == effect;
        if taints[..index].iter().any(twin) {
            let mut error = FieldError::duplicate(&path, Value::Null);
            error.shown = Some(go_value::compact("Taint", taint));
            error.detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(error);
        }
    }
}

/// Checks an effect.
pub fn effect(effect: &str, may_be_empty: bool, path: &Path, errors: &mut FieldErrors) {
    if effect.is_empty() {
        if !may_be_empty {
            errors.push(FieldError::required(path, ""));
        }
    } else if !EFFECTS.contains(&effect) {
        errors.push(FieldError::not_supported(path, effect, &EFFECTS));
    }
}
