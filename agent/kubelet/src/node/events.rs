//! What the node's events tell: changes of its conditions, and that the machine was started anew. Pure.

use super::status::find;
use serde_json::Value;

/// One event about the node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NodeEvent {
    pub(super) warning: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Reasons by condition: when it is True, when it is False.
const REASONS: [(&str, &str, &str); 4] = [
    ("MemoryPressure", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    ("DiskPressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure"),
    ("PIDPressure", "NodeHasInsufficientPID", "NodeHasSufficientPID"),
    ("Ready", "NodeReady", "NodeNotReady"),
];

/// What has changed between the status that the API held and the one that it holds now.
pub(super) fn events(node: &str, before: &Value, after: &Value) -> Vec<NodeEvent> {
    let mut events = Vec::new();
    let boot_id = |status: &Value| {
        let id = status.pointer("/nodeInfo/bootID").and_then(Value::as_str).unwrap_or("");
        id.to_owned()
    };
    let (old, new) = (boot_id(before), boot_id(after));
    if !old.is_empty() && !new.is_empty() && old != new {
        let message = format!("Node {node} has been rebooted, boot id: {new}");
        events.push(NodeEvent { warning: true, reason: "Rebooted", message });
    }
    for (kind, yes, no) in REASONS {
        let status = |of| find(of, kind).and_then(|c| c.get("status")).and_then(Value::as_str).unwrap_or("");
        let (old, new) = (status(before), status(after));
        // A node is not ready before it has begun: that is no news.
        let reason = match new {
            "True" if old != new => yes,
            "False" if old != new && !(kind == "Ready" && old.is_empty()) => no,
            _ => continue,
        };
        let message = format!("Node {node} status is now: {reason}");
        events.push(NodeEvent { warning: false, reason, message });
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(ready: &str, memory: &str, boot_id: &str) -> Value {
        json!({"nodeInfo": {"bootID": boot_id}, "conditions": [
            {"type": "Ready", "status": ready}, {"type": "MemoryPressure", "status": memory}]})
    }

    #[test]
    fn only_changes_are_told() {
        let check = |before: Value, after: Value, expect: &[&str]| {
            let got: Vec<_> = events("n", &before, &after).into_iter().map(|e| e.reason).collect();
            assert_eq!(got, expect);
        };
        check(json!({}), status("False", "False", "a"), &["NodeHasSufficientMemory"]);
        check(json!({}), status("True", "False", "a"), &["NodeHasSufficientMemory", "NodeReady"]);
        check(status("False", "False", "a"), status("True", "False", "a"), &["NodeReady"]);
        check(
            status("True", "False", "a"),
            status("False", "True", "a"),
            &["NodeHasInsufficientMemory", "NodeNotReady"],
        );
        // The node controller's word, when nothing was heard of the node.
        check(
            status("Unknown", "Unknown", "a"),
            status("True", "False", "a"),
            &["NodeHasSufficientMemory", "NodeReady"],
        );
        check(status("True", "False", "a"), status("True", "False", "a"), &[]);
        check(status("True", "False", "a"), status("True", "False", "b"), &["Rebooted"]);
        let told = events("n", &status("False", "False", "a"), &status("True", "False", "a"));
        assert_eq!(told[0].message, "Node n status is now: NodeReady");
    }
}
