//! The agent and the runtime restarted under running pods.

use super::stage::{Stage, condition, eventually};
use serde_json::{Value, json};
use std::time::Duration;

fn identity(status: &Value) -> (Value, Value, Value) {
    let container = &status["containerStatuses"][0];
    (container["containerID"].clone(), container["restartCount"].clone(), container["state"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_agent_adopts_what_runs_and_removes_what_the_api_forgot() {
    let mut stage = Stage::start().await;
    let spec = json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0,
        "initContainers": [{"name": "i", "command": ["true"]}],
        "volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}],
        "containers": [{"name": "c", "command": ["sleep", "1000"],
            "volumeMounts": [{"name": "m", "mountPath": "/m"}],
            "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1}}]});
    stage.pod("kept", spec.clone());
    stage.pod("lost", spec.clone());
    let before = stage.until_ready("kept").await;
    stage.until_ready("lost").await;
    stage.stop_kubelet().await;
    let lost = stage.get("lost").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    stage.api.delete_pod("default", "lost", 0);
    let writes = stage.api.writes().len();
    stage.start_kubelet().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = stage.status("kept");
    assert_eq!(identity(&before), identity(&after));
    assert_eq!(condition(&after, "Ready"), "True");
    let unready = stage.api.writes()[writes..].iter().any(|(_, path, body)| {
        let list = body.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        path.contains("/kept/") && list.iter().any(|c| c["type"] == "Ready" && c["status"] == "False")
    });
    assert!(!unready, "an adopted pod was never unready");
    let pods = stage.containerd.dir.join("kubelet/pods");
    eventually("the orphan's files are gone", || !pods.join(&lost).exists()).await;
    eventually("the orphan's containers are gone", || {
        // Sandbox, init container and container of the pod that stays.
        stage.containerd.ctr(&["containers", "ls", "-q"]).lines().count() == 3
    })
    .await;

    stage.containerd.restart();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(identity(&before), identity(&stage.status("kept")), "after containerd's restart");
    stage.pod("new", spec);
    stage.until_ready("new").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sandbox_is_made_again() {
    let stage = Stage::start().await;
    stage.pod("a", json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "command": ["sleep", "1000"]}]}));
    let before = stage.until_ready("a").await;
    assert!(before["podIP"].as_str().unwrap().starts_with("10.99."), "{before:#}");
    let container =
        before["containerStatuses"][0]["containerID"].as_str().unwrap().replace("containerd://", "");
    let tasks = stage.containerd.ctr(&["tasks", "ls", "-q"]);
    let sandbox = tasks.lines().find(|id| *id != container).unwrap().to_owned();
    stage.containerd.ctr(&["tasks", "kill", "-s", "SIGKILL", &sandbox]);
    let after = stage
        .until("a", 20, |s| {
            condition(s, "Ready") == "True"
                && s["containerStatuses"][0]["containerID"] != before["containerStatuses"][0]["containerID"]
        })
        .await;
    assert_eq!(after["containerStatuses"][0]["restartCount"], 1);
    assert_ne!(after["podIP"], before["podIP"]);
}
