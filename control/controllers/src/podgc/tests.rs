use super::plan::{Plan, plan};
use keelson_client::views::Pod;
use serde_json::json;
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
