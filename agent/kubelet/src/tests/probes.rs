//! Probes against real containers.

use super::health;
use super::stage::{Stage, condition, eventually};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn readiness_comes_and_goes_and_liveness_restarts() {
    let stage = Stage::start().await;
    // Below those that the kernel gives to whoever calls; the test of the server has the next ones.
    let port = 10_000 + std::process::id() % 10_000;
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

/// The words of events, and hooks that take their time.
#[tokio::test(flavor = "multi_thread")]
async fn probes_that_fail_say_why_and_hooks_have_their_grace() {
    let stage = Stage::start().await;
    let probe = |handler: serde_json::Value| {
        let mut probe = json!({"periodSeconds": 1, "failureThreshold": 1});
        probe.as_object_mut().unwrap().extend(handler.as_object().unwrap().clone());
        json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [
            {"name": "c", "command": ["sleep", "1000"], "readinessProbe": probe}]})
    };
    for (name, handler, words) in [
        (
            "http",
            json!({"httpGet": {"path": "/x", "port": 9}}),
            "Get \"http://127.0.0.1:9/x\": dial tcp 127.0.0.1:9: connect: connection refused",
        ),
        ("tcp", json!({"tcpSocket": {"port": 9}}), "dial tcp 127.0.0.1:9: connect: connection refused"),
        (
            "grpc",
            json!({"grpc": {"port": 9, "service": "x"}}),
            "error: failed to connect service at \"127.0.0.1:9\": dial tcp 127.0.0.1:9: connect: connection refused",
        ),
        (
            "exec",
            json!({"exec": {"command": ["sh", "-c", "echo no; echo never >&2; exit 1"]}}),
            "no\nnever\n",
        ),
    ] {
        stage.pod(name, probe(handler));
        let expect = format!("Unhealthy: Readiness probe failed: {words}");
        eventually(&expect, || stage.events(name).contains(&expect)).await;
        assert_eq!(condition(&stage.status(name), "Ready"), "False");
        stage.api.delete_pod("default", name, 0);
    }
    stage.pod(
        "startup",
        json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [
        {"name": "c", "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"],
         "startupProbe": {"periodSeconds": 1, "failureThreshold": 1, "terminationGracePeriodSeconds": 1,
                          "exec": {"command": ["false"]}}}]}),
    );
    stage.until("startup", 20, |s| s["containerStatuses"][0]["restartCount"].as_u64() > Some(0)).await;
    let killing = "Killing: Container c failed startup probe, will be restarted";
    eventually(killing, || stage.events("startup").iter().any(|e| e == killing)).await;
    stage.pod(
        "hooks",
        json!({"hostNetwork": true, "terminationGracePeriodSeconds": 30, "containers": [
        {"name": "c", "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"],
         "lifecycle": {"preStop": {"sleep": {"seconds": 2}}}},
        {"name": "bad", "command": ["sleep", "1000"],
         "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "echo secret >&2; exit 1"]}}}}]}),
    );
    let failed = "FailedPostStartHook: PostStartHook failed";
    eventually(failed, || stage.events("hooks").iter().any(|e| e == failed)).await;
    assert!(!stage.events("hooks").iter().any(|e| e.contains("secret")));
    let begun = std::time::Instant::now();
    stage.api.delete_pod("default", "hooks", 4);
    stage.until_gone("hooks", 20).await;
    let took = begun.elapsed().as_secs_f64();
    assert!((1.9..12.0).contains(&took), "two seconds of sleep come before the signal: {took:.1} s");
}

/// A probe asks the pod's port for the service that it names, and for none when it names none.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_probes_ask_for_their_service() {
    let stage = Stage::start().await;
    let port = health::serve("one", Ok(1)).await;
    let probed = |probe: serde_json::Value| {
        json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [
            {"name": "c", "command": ["sleep", "1000"], "readinessProbe": {"periodSeconds": 1, "grpc": probe}}]})
    };
    stage.pod("known", probed(json!({"port": port, "service": "one"})));
    stage.pod("unknown", probed(json!({"port": port})));
    stage.until_ready("known").await;
    let failed = "Unhealthy: Readiness probe failed: error: health rpc probe failed: ";
    eventually(failed, || stage.events("unknown").iter().any(|e| e.starts_with(failed))).await;
    assert_eq!(condition(&stage.status("unknown"), "Ready"), "False");
}
