use super::plan::{Plan, plan, surplus};
use keelson_client::views::Pod;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn which_pods_nobody_removes() {
    let pod = |node: &str, deleting: bool| -> Pod {
        let mut pod = json!({"spec": {"nodeName": node}});
        if deleting {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        serde_json::from_value(pod).unwrap()
    };
    let second = Duration::from_secs;
    assert_eq!(plan(&pod("n", false), None), Plan::Keep);
    assert_eq!(plan(&pod("n", true), None), Plan::Keep, "its agent ends it");
    assert_eq!(plan(&pod("n", false), Some(second(39))), Plan::Wait(second(1)));
    assert_eq!(plan(&pod("n", false), Some(second(40))), Plan::NodeGone);
    assert_eq!(plan(&pod("", false), Some(second(99))), Plan::Keep);
    assert_eq!(plan(&pod("", true), Some(second(0))), Plan::Unscheduled);
}

#[test]
fn which_ended_pods_are_too_many() {
    // Name, phase and reason, and the minute of creation.
    let pods = [
        ("running", "Running", "", 0),
        ("pending", "Pending", "", 0),
        ("lost", "Unknown", "", 0),
        ("new", "Succeeded", "", 9),
        ("old", "Failed", "Error", 2),
        ("same-b", "Succeeded", "", 5),
        ("same-a", "Failed", "", 5),
        ("evicted", "Failed", "Evicted", 8),
    ]
    .map(|(name, phase, reason, minute)| -> Arc<Pod> {
        let created = format!("2026-01-01T00:{minute:02}:00Z");
        let pod = json!({"metadata": {"name": name, "namespace": "t", "creationTimestamp": created},
            "status": {"phase": phase, "reason": reason}});
        Arc::new(serde_json::from_value(pod).unwrap())
    });
    let check = |max: usize, wanted: &[&str]| {
        let found = surplus(pods.to_vec(), max);
        let found: Vec<_> = found.iter().map(|pod| pod.metadata.name.as_str()).collect();
        assert_eq!(found, wanted, "at most {max}");
    };
    check(12_500, &[]);
    check(5, &[]);
    check(4, &["evicted"]);
    check(2, &["evicted", "old", "same-a"]);
    check(0, &["evicted", "old", "same-a", "same-b", "new"]);
}
