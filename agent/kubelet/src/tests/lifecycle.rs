//! Pods from creation to removal.

use super::stage::{Stage, condition, eventually};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_and_goes_without_a_trace() {
    let stage = Stage::start().await;
    stage.pod(
        "a",
        json!({"hostNetwork": true, "terminationGracePeriodSeconds": 1, "containers": [
        {"name": "c", "command": ["sh", "-c", "echo hello $NAME; exec sleep 1000"],
         "env": [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}]}),
    );
    let status = stage.until_ready("a").await;
    assert_eq!(status["phase"], "Running");
    assert_eq!(status["podIP"], "127.0.0.1");
    assert_eq!(status["qosClass"], "BestEffort");
    assert_eq!(status["observedGeneration"], 1);
    let container = &status["containerStatuses"][0];
    assert!(container["containerID"].as_str().unwrap().starts_with("containerd://"), "{container}");
    assert_eq!((&container["ready"], &container["started"]), (&json!(true), &json!(true)));
    assert_eq!(condition(&status, "PodReadyToStartContainers"), "True");
    eventually("the log", || stage.log("a", "c", 0) == "hello a\n").await;
    stage.api.delete_pod("default", "a", 1);
    stage.until_gone("a", 10).await;
    let dir = &stage.containerd.dir;
    let empty = |path: &str| std::fs::read_dir(dir.join(path)).unwrap().count() == 0;
    eventually("nothing is left", || {
        stage.containerd.ctr(&["containers", "ls", "-q"]).is_empty() && empty("kubelet/pods") && empty("logs")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn init_containers_run_in_order_before_the_rest() {
    let stage = Stage::start().await;
    let write = |text: &str| json!(["sh", "-c", format!("echo {text} >> /shared/order; sleep 0.2")]);
    let mounts = json!([{"name": "shared", "mountPath": "/shared"}]);
    stage.pod(
        "a",
        json!({"hostNetwork": true, "restartPolicy": "Never",
        "volumes": [{"name": "shared", "emptyDir": {}}],
        "initContainers": [
            {"name": "one", "command": write("one"), "volumeMounts": mounts},
            {"name": "two", "command": write("two"), "volumeMounts": mounts}],
        "containers": [{"name": "c", "command": ["cat", "/shared/order"], "volumeMounts": mounts}]}),
    );
    let status = stage.until("a", 20, |s| s["phase"] == "Succeeded").await;
    assert_eq!(stage.log("a", "c", 0), "one\ntwo\n");
    let init = &status["initContainerStatuses"][1];
    assert_eq!((&init["state"]["terminated"]["reason"], &init["ready"]), (&json!("Completed"), &json!(true)));
    assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    assert_eq!(condition(&status, "Initialized"), "True");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashing_container_backs_off_and_tells_why() {
    let stage = Stage::start().await;
    stage.pod(
        "a",
        json!({"hostNetwork": true, "containers": [
        {"name": "c", "command": ["sh", "-c", "echo -n boom > /dev/termination-log; exit 3"]}]}),
    );
    let backing_off = |s: &serde_json::Value| {
        s["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
            && s["containerStatuses"][0]["restartCount"] == 1
    };
    let status = stage.until("a", 20, backing_off).await;
    let container = &status["containerStatuses"][0];
    let message = container["state"]["waiting"]["message"].as_str().unwrap();
    assert!(message.starts_with("back-off 10s restarting failed container=c pod=a_default("), "{message}");
    let last = &container["lastState"]["terminated"];
    assert_eq!(
        (&last["exitCode"], &last["reason"], &last["message"]),
        (&json!(3), &json!("Error"), &json!("boom"))
    );
    assert_eq!(status["phase"], "Running");
    let finished = stage_time(&last["finishedAt"]);
    let again = |s: &serde_json::Value| {
        let message = s["containerStatuses"][0]["state"]["waiting"]["message"].as_str().unwrap_or("");
        message.starts_with("back-off 20s ")
    };
    let status = stage.until("a", 20, again).await;
    let started = stage_time(&status["containerStatuses"][0]["lastState"]["terminated"]["startedAt"]);
    assert!((10..=14).contains(&(started - finished)), "restarted after {} s", started - finished);
}

fn stage_time(value: &serde_json::Value) -> i64 {
    keelson_api::time::parse(value.as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_then_sigkill_after_the_grace_period() {
    let stage = Stage::start().await;
    let spec = |grace: u32, trap: &str| {
        json!({"hostNetwork": true, "terminationGracePeriodSeconds": grace, "containers": [
            {"name": "c", "command": ["sh", "-c", format!("trap '{trap}' TERM; while :; do sleep 0.05; done")]}]})
    };
    stage.pod("polite", spec(30, "exit 0"));
    stage.pod("deaf", spec(2, "echo heard"));
    stage.until_ready("polite").await;
    stage.until_ready("deaf").await;
    stage.api.delete_pod("default", "polite", 30);
    // Long before its grace is over.
    stage.until_gone("polite", 10).await;
    let begun = Instant::now();
    stage.api.delete_pod("default", "deaf", 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.log("deaf", "c", 0), "heard\n");
    stage.until_gone("deaf", 10).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1900) && took < Duration::from_secs(5), "{took:?}");
    let last = stage.api.writes().into_iter().rev().find_map(|(_, path, body)| {
        let exit = body.pointer("/status/containerStatuses/0/state/terminated/exitCode").cloned()?;
        path.contains("/deaf/").then_some(exit)
    });
    assert_eq!(last, Some(json!(137)), "the last status before the deletion");
}

/// Each container ends long after the look that follows its start.
#[tokio::test(flavor = "multi_thread")]
async fn ends_of_containers_are_noticed_without_a_poll() {
    let stage = Stage::looking_every(Duration::from_secs(600)).await;
    let container = |name: &str| json!({"name": name, "command": ["sleep", "1"]});
    let spec = json!({"hostNetwork": true, "restartPolicy": "Never",
        "initContainers": [container("a"), container("b"), container("c")],
        "containers": [container("main")]});
    stage.pod("chain", spec);
    stage.until("chain", 60, |s| s["phase"] == "Succeeded").await;
}
