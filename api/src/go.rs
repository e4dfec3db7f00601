//! Values as Go names and prints them, which is how many of Kubernetes' messages show them.

use serde_json::Value;

/// The kind of a JSON value, as Go's decoder names it.
pub(crate) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The Go type of a decoded value.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// The Go kind of a decoded value.
pub(crate) fn kind_name(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
        other => type_name(other),
    }
}

/// `%#v`: `map[string]interface {}{"a":1}`
pub(crate) fn syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Array(list) => {
            format!("[]interface {{}}{{{}}}", list.iter().map(syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{key:?}:{}", syntax(value)));
            format!("map[string]interface {{}}{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// `%v`: `map[a:1 b:[x y]]`
pub(crate) fn show(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("<nil>"),
        Value::String(s) => text.push_str(s),
        Value::Array(list) => {
            text.push('[');
            for (i, item) in list.iter().enumerate() {
                if i > 0 {
                    text.push(' ');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            text.push_str("map[");
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    text.push(' ');
                }
                text.push_str(key);
                text.push(':');
                write(item, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_as_go_shows_them() {
        let value = json!({"b": ["x", 1, null, 2.5], "a": {"c": true}});
        assert_eq!(show(&value), "map[a:map[c:true] b:[x 1 <nil> 2.5]]");
        assert_eq!(
            syntax(&value),
            "map[string]interface {}{\"a\":map[string]interface {}{\"c\":true}, \
             \"b\":[]interface {}{\"x\", 1, interface {}(nil), 2.5}}"
        );
    }

    #[test]
    fn names() {
        for (value, json, go, kind) in [
            (json!(null), "null", "<nil>", "<nil>"),
            (json!(true), "bool", "bool", "bool"),
            (json!(1), "number", "int64", "int64"),
            (json!(1.5), "number", "float64", "float64"),
            (json!("x"), "string", "string", "string"),
            (json!([]), "array", "[]interface {}", "slice"),
            (json!({}), "object", "map[string]interface {}", "map"),
        ] {
            assert_eq!((json_kind(&value), type_name(&value), kind_name(&value)), (json, go, kind));
        }
    }
}
