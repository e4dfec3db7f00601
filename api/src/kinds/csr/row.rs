//! The row of a certificate signing request in its Table form.

use super::super::row;
use crate::age;
use crate::validation::value::{at, int, list, text};
use serde_json::Value;

pub(super) fn cells(object: &Value, now: i64) -> Vec<Value> {
    let spec = at(object, "spec");
    let duration = int(spec, "expirationSeconds").map(age::human_duration).unwrap_or_default();
    vec![
        row::name(object),
        row::age(object, now),
        text(spec, "signerName").into(),
        text(spec, "username").into(),
        row::or_none(&duration),
        condition(at(object, "status")).into(),
    ]
}

fn condition(status: &Value) -> String {
    let has = |kind: &str| list(status, "conditions").iter().any(|condition| text(condition, "type") == kind);
    let mut state = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (_, true) => "Approved",
        _ => "Pending",
    }
    .to_owned();
    if has("Failed") {
        state.push_str(",Failed");
    }
    if !text(status, "certificate").is_empty() {
        state.push_str(",Issued");
    }
    state
}
