//! Tolerations of pods.

use super::check;
use super::taint;
use super::value::{has, text};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use serde_json::Value;

/// Checks the tolerations of a pod.
pub fn tolerations(tolerations: &[Value], path: &Path, errors: &mut FieldErrors) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, value) = (text(toleration, "key"), text(toleration, "value"));
        let (operator, effect) = (text(toleration, "operator"), text(toleration, "effect"));
        if !key.is_empty() {
            check::each(names::qualified_name(key), key, &path.child("key"), errors);
        }
        let at_operator = path.child("operator");
        if key.is_empty() && operator != "Exists" {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(FieldError::invalid(&at_operator, operator, why));
        }
        if has(toleration, "tolerationSeconds") && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(&path.child("effect"), effect, why));
        }
        match operator {
            "" | "Equal" => {
                let wrong = names::label_value(value);
                if !wrong.is_empty() {
                    errors.push(FieldError::invalid(&at_operator, value, wrong.join(";")));
                }
            }
            "Exists" => {
                if !value.is_empty() {
                    let why = "value must be empty when `operator` is 'Exists'";
                    errors.push(FieldError::invalid(&at_operator, value, why));
                }
            }
            other => check::one_of(other, &["Equal", "Exists"], &at_operator, errors),
        }
        taint::effect(effect, true, &path.child("effect"), errors);
    }
}
