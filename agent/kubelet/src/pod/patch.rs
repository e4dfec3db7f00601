//! The difference between two statuses as a strategic merge patch: only what changed is sent.

use serde_json::{Map, Value, json};

/// The patch that turns `reported` into `wanted`; `None` when nothing differs. Conditions that are not in
/// `wanted` belong to others and stay.
pub fn status_patch(uid: &str, reported: &Value, wanted: &Value) -> Option<Value> {
    let mut changes = Map::new();
    let empty = Map::new();
    let wanted = wanted.as_object().unwrap_or(&empty);
    for (name, value) in wanted {
        let held = reported.get(name);
        match name.as_str() {
            "conditions" => {
                let changed = changed_conditions(held, value);
                if !changed.is_empty() {
                    changes.insert(name.clone(), Value::Array(changed));
                }
            }
            // Merged by ip on the server: a list that replaces must say so.
            "podIPs" | "hostIPs" if held != Some(value) => {
                let mut list = vec![json!({"$patch": "replace"})];
                list.extend(value.as_array().into_iter().flatten().cloned());
                changes.insert(name.clone(), Value::Array(list));
            }
            _ if held != Some(value) => {
                changes.insert(name.clone(), value.clone());
            }
            _ => {}
        }
    }
    for name in ["podIP", "podIPs", "reason", "message"] {
        if reported.get(name).is_some() && !wanted.contains_key(name) {
            changes.insert(name.to_owned(), Value::Null);
        }
    }
    (!changes.is_empty()).then(|| json!({"metadata": {"uid": uid}, "status": changes}))
}

fn changed_conditions(held: Option<&Value>, wanted: &Value) -> Vec<Value> {
    let held = held.and_then(Value::as_array);
    let mut changed = Vec::new();
    for condition in wanted.as_array().into_iter().flatten() {
        let before = held.and_then(|list| list.iter().find(|c| c.get("type") == condition.get("type")));
        if before == Some(condition) {
            continue;
        }
        let mut condition = condition.clone();
        for name in ["reason", "message"] {
            if before.is_some_and(|b| b.get(name).is_some()) && condition.get(name).is_none() {
                condition[name] = Value::Null;
            }
        }
        changed.push(condition);
    }
    changed
}

/// What the API is expected to hold after `wanted` was written over `reported`.
pub fn merged(reported: &Value, wanted: &Value) -> Value {
    let mut result = wanted.clone();
    let foreign: Vec<Value> = reported
        .get("conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|c| {
            let ours = wanted.get("conditions").and_then(Value::as_array);
            !ours.is_some_and(|list| list.iter().any(|w| w.get("type") == c.get("type")))
        })
        .cloned()
        .collect();
    if let Some(list) = result.get_mut("conditions").and_then(Value::as_array_mut) {
        list.extend(foreign);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reported: Value, wanted: Value, expect: Option<Value>) {
        let expect = expect.map(|status| json!({"metadata": {"uid": "u"}, "status": status}));
        assert_eq!(status_patch("u", &reported, &wanted), expect);
    }

    #[test]
    fn sends_only_what_changed() {
        check(json!({"phase": "Running"}), json!({"phase": "Running"}), None);
        check(
            json!({"phase": "Pending", "qosClass": "BestEffort"}),
            json!({"phase": "Running", "qosClass": "BestEffort"}),
            Some(json!({"phase": "Running"})),
        );
        check(
            json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}),
            json!({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]}),
            Some(json!({"podIP": "10.0.0.2", "podIPs": [{"$patch": "replace"}, {"ip": "10.0.0.2"}]})),
        );
        check(json!({"podIP": "10.0.0.1"}), json!({}), Some(json!({"podIP": null})));
    }

    #[test]
    fn conditions_of_others_stay() {
        check(
            json!({"conditions": [{"type": "Mine", "status": "False", "reason": "x"}, {"type": "Other"}]}),
            json!({"conditions": [{"type": "Mine", "status": "True"}]}),
            Some(json!({"conditions": [{"type": "Mine", "status": "True", "reason": null}]})),
        );
        let after = merged(
            &json!({"conditions": [{"type": "Mine", "status": "False"}, {"type": "Other"}]}),
            &json!({"conditions": [{"type": "Mine", "status": "True"}]}),
        );
        assert_eq!(after, json!({"conditions": [{"type": "Mine", "status": "True"}, {"type": "Other"}]}));
    }
}
