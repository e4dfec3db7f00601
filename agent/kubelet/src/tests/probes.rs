//! Probes against real containers.

use super::stage::{Stage, condition, eventually};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn readiness_comes_and_goes_and_liveness_restarts() {
    let stage = Stage::start().await;
    let port = 30_000 + std::process::id() % 10_000;
    stage.pod("web", json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [
        {"name": "c", "ports": [{"name": "http", "containerPort": port}],
         "command": ["sh", "-c", format!("mkdir /www; echo ok > /www/ok; exec httpd -f -p 127.0.0.1:{port} -h /www")],
         "readinessProbe": {"periodSeconds": 1, "failureThreshold": 1, "httpGet": {"path": "/ok", "port": "http"}},
         "livenessProbe": {"periodSeconds": 1, "tcpSocket": {"port": port}}}]}));
    stage.pod("exec", json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [
        {"name": "c", "command": ["sh", "-c", "touch /tmp/alive; sleep 3; rm /tmp/alive; exec sleep 1000"],
         "startupProbe": {"periodSeconds": 1, "exec": {"command": ["test", "-e", "/tmp/alive"]}},
         "livenessProbe": {"periodSeconds": 1, "failureThreshold": 1, "exec": {"command": ["cat", "/tmp/alive"]}}}]}));
    stage.pod(
        "slow",
        json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [
        {"name": "c", "command": ["sleep", "1000"],
         "livenessProbe": {"periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1,
                           "exec": {"command": ["sleep", "600"]}}}]}),
    );
    let status = stage.until_ready("web").await;
    let id = status["containerStatuses"][0]["containerID"].as_str().unwrap().replace("containerd://", "");
    stage.containerd.ctr(&["tasks", "exec", "--exec-id", "x", &id, "rm", "/www/ok"]);
    let status = stage.until("web", 5, |s| condition(s, "Ready") == "False").await;
    assert_eq!(status["containerStatuses"][0]["restartCount"], 0);
    assert_eq!(condition(&status, "ContainersReady"), "False");
    let recorded = |name: &str, text: &str| stage.events(name).iter().any(|e| e.starts_with(text));
    let readiness = "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 404";
    eventually("the readiness event", || recorded("web", readiness)).await;
    stage.until("exec", 15, |s| s["containerStatuses"][0]["restartCount"] == 1).await;
    stage.until("slow", 15, |s| s["containerStatuses"][0]["restartCount"] == 1).await;
    let timed_out = "Unhealthy: Liveness probe failed: command timed out: \"sleep 600\" timed out after 1s";
    eventually("the timeout", || recorded("slow", timed_out)).await;
    eventually("the liveness event", || recorded("exec", "Unhealthy: Liveness probe failed: ")).await;
    let killing = "Killing: Container c failed liveness probe, will be restarted";
    eventually("the killing", || recorded("exec", killing)).await;
}
