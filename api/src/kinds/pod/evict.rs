//! Eviction: the mark on a pod that somebody asked to leave its node.

use crate::validation::value::{at, list, object_mut, set, text};
use serde_json::{Value, json};

/// The condition of pods that end because of a disruption (KEP-3329).
const CONDITION: &str = "DisruptionTarget";
const REASON: &str = "EvictionByEvictionAPI";

/// Notes in the pod's conditions that the eviction API ends it. `now` is RFC 3339.
pub fn mark_evicted(pod: &mut Value, now: &str) {
    let mut conditions = list(at(pod, "status"), "conditions").to_vec();
    let mut condition = json!({
        "type": CONDITION, "status": "True", "reason": REASON, "message": "Eviction API: evicting",
        "lastProbeTime": null, "lastTransitionTime": now,
    });
    match conditions.iter_mut().find(|condition| text(condition, "type") == CONDITION) {
        Some(there) => {
            if text(there, "status") == "True" {
                set(&mut condition, "lastTransitionTime", at(there, "lastTransitionTime").clone());
            }
            *there = condition;
        }
        None => conditions.push(condition),
    }
    if let Some(status) = object_mut(pod, "status") {
        set(status, "conditions", conditions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_is_there_once_and_keeps_its_time() {
        let mut pod = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        mark_evicted(&mut pod, "2026-01-01T00:00:00Z");
        let first = pod.clone();
        mark_evicted(&mut pod, "2026-01-01T00:00:09Z");
        assert_eq!(pod, first);
        let condition = &pod["status"]["conditions"][1];
        assert_eq!((&condition["reason"], &condition["status"]), (&json!(REASON), &json!("True")));
        pod["status"]["conditions"][1]["status"] = json!("False");
        mark_evicted(&mut pod, "2026-01-01T00:00:09Z");
        assert_eq!(pod["status"]["conditions"][1]["lastTransitionTime"], "2026-01-01T00:00:09Z");
        assert_eq!(pod["status"]["conditions"].as_array().map(Vec::len), Some(2));
    }
}
