//! Reading and filling the fields of an object. Absent, null and of another type all read as the empty value:
//! the decoder has checked types before any rule runs, so a rule need not.

use serde_json::{Map, Value};

/// What an absent field reads as.
pub static NULL: Value = Value::Null;

/// The field, or null.
pub fn at<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&NULL)
}

/// The field at a path of keys, or null.
pub fn dig<'a>(value: &'a Value, keys: &[&str]) -> &'a Value {
    keys.iter().fold(value, |value, key| at(value, key))
}

/// Whether the field is there and not null.
pub fn has(value: &Value, key: &str) -> bool {
    !at(value, key).is_null()
}

/// The string field, or "".
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    at(value, key).as_str().unwrap_or_default()
}

/// The list field, or an empty one.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    at(value, key).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The strings of a list field.
pub fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    list(value, key).iter().filter_map(Value::as_str).collect()
}

/// The fields of a map field, in key order.
pub fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    at(value, key).as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// How many fields the map field has.
pub fn size(value: &Value, key: &str) -> usize {
    at(value, key).as_object().map_or(0, Map::len)
}

/// The integer field.
pub fn int(value: &Value, key: &str) -> Option<i64> {
    at(value, key).as_i64()
}

/// The boolean field, or false.
pub fn flag(value: &Value, key: &str) -> bool {
    at(value, key).as_bool().unwrap_or_default()
}

/// Whether a value says nothing: null, "", 0, false, an empty list or an empty map.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// The object field, made if it is absent or null. `None` when `value` itself is not an object.
pub fn object_mut<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let field = value.as_object_mut()?.entry(key).or_insert(Value::Null);
    if field.is_null() {
        *field = Value::Object(Map::new());
    }
    Some(field)
}

/// The elements of a list field, for filling in.
pub fn list_mut<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Sets the field when it is absent or null (a pointer in the API's types).
pub fn default_to(value: &mut Value, key: &str, default: impl Into<Value>) {
    if !has(value, key) {
        set(value, key, default);
    }
}

/// Sets the field when it is absent, null or empty (no pointer in the API's types).
pub fn default_empty_to(value: &mut Value, key: &str, default: impl Into<Value>) {
    if is_empty(at(value, key)) {
        set(value, key, default);
    }
}

/// Sets the field.
pub fn set(value: &mut Value, key: &str, new: impl Into<Value>) {
    if let Some(map) = value.as_object_mut() {
        map.insert(key.to_owned(), new.into());
    }
}

/// Removes the field.
pub fn remove(value: &mut Value, key: &str) -> Option<Value> {
    value.as_object_mut()?.remove(key)
}

/// Makes the field of `new` what it is in `old`, absent included.
pub fn carry_over(new: &mut Value, old: &Value, key: &str) {
    match old.get(key) {
        Some(field) => set(new, key, field.clone()),
        None => {
            remove(new, key);
        }
    }
}

/// Whether two values mean the same: absent, null, "", 0, false and empty lists and maps are not told apart,
/// nor are the orders of map fields.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            x.iter().all(|(key, value)| same(value, y.get(key).unwrap_or(&NULL)))
                && y.iter().all(|(key, value)| x.contains_key(key) || same(value, &NULL))
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b)),
        (Value::Object(map), other) | (other, Value::Object(map)) => {
            is_empty(other) && map.values().all(|value| same(value, &NULL))
        }
        _ => a == b || (is_empty(a) && is_empty(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn same_does_not_tell_absent_from_empty() {
        for (a, b, want) in [
            (json!({"a": {}}), json!({}), true),
            (json!({"a": {"b": []}}), json!({}), true),
            (json!({"a": {"b": [1]}}), json!({}), false),
            (json!({"a": null}), json!({"a": ""}), true),
            (json!({"a": 1}), json!({"a": 1, "b": false}), true),
            (json!({"a": 1}), json!({"a": 2}), false),
            (json!([1, 2]), json!([2, 1]), false),
            (json!("x"), json!({}), false),
        ] {
            assert_eq!(same(&a, &b), want, "{a} {b}");
            assert_eq!(same(&b, &a), want, "{b} {a}");
        }
    }

    #[test]
    fn odd_values_read_as_empty() {
        assert_eq!(text(&json!({"a": 1}), "a"), "");
        assert_eq!(list(&json!({"a": {}}), "a").len(), 0);
        assert_eq!(int(&json!(3), "a"), None);
        assert!(object_mut(&mut json!(3), "a").is_none());
    }
}
