//! Cells that many kinds have in their Table form.

use crate::age;
use crate::selector::LabelSelector;
use crate::validation::value::{dig, entries, text};
use serde_json::Value;

/// What stands for nothing.
pub(super) const NONE: &str = "<none>";

/// `metadata.name`.
pub(super) fn name(object: &Value) -> Value {
    Value::from(text(&object["metadata"], "name"))
}

/// The time since `metadata.creationTimestamp`.
pub(super) fn age(object: &Value, now: i64) -> Value {
    Value::from(since(text(&object["metadata"], "creationTimestamp"), now))
}

/// The time since an RFC 3339 timestamp; `<unknown>` when there is none.
pub(super) fn since(timestamp: &str, now: i64) -> String {
    age::since(Some(timestamp).filter(|timestamp| !timestamp.is_empty()), now)
}

/// The text, or `<none>` for an empty one.
pub(super) fn or_none(text: &str) -> Value {
    Value::from(if text.is_empty() { NONE } else { text })
}

/// A map of labels as `a=1,b=2`, or `<none>`.
pub(super) fn labels(object: &Value, path: &[&str]) -> String {
    let Some((last, parents)) = path.split_last() else { return NONE.to_owned() };
    let pairs = entries(dig(object, parents), last)
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>();
    if pairs.is_empty() { NONE.to_owned() } else { pairs.join(",") }
}

/// The names and the images of a list of containers, each joined by commas.
pub(super) fn containers(pod_spec: &Value) -> (String, String) {
    let join = |key: &str| {
        let list = crate::validation::value::list(pod_spec, "containers");
        list.iter().map(|container| text(container, key)).collect::<Vec<_>>().join(",")
    };
    (join("name"), join("image"))
}

/// A label selector as text, or `<none>` for one that matches everything.
pub(super) fn selector(selector: &Value) -> String {
    match LabelSelector::from_object(selector) {
        Ok(parsed) if parsed.is_empty() => NONE.to_owned(),
        Ok(parsed) => parsed.to_string(),
        Err(_) => "<error>".to_owned(),
    }
}
