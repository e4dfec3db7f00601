//! Volumes in running pods.

use super::stage::{Stage, eventually};
use serde_json::{Value, json};

fn config_map(value: &str) -> Value {
    json!({"metadata": {"namespace": "default", "name": "cm"}, "data": {"key": value, "other": "o"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_and_a_changed_config_map() {
    let stage = Stage::start().await;
    let host = stage.containerd.dir.join("host");
    stage.pod(
        "a",
        json!({
        "hostNetwork": true, "serviceAccountName": "sa", "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsUser": 1000, "fsGroup": 2000},
        "volumes": [
            {"name": "cm", "configMap": {"name": "cm"}},
            {"name": "secret", "secret": {"secretName": "s", "defaultMode": 256}},
            {"name": "token", "projected": {"sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "disk", "emptyDir": {}},
            {"name": "host", "hostPath": {"path": host.to_str().unwrap(), "type": "DirectoryOrCreate"}}],
        "containers": [{"name": "c",
            "command": ["sh", "-c", "cat /cm/key /one /secret/p /token/token /token/name; id -u; \
                         echo mine > /disk/f && stat -c %g /disk/f; grep -c ' /memory tmpfs' /proc/mounts; \
                         echo ok > /host/f; \
                         while :; do cat /cm/key > /disk/seen; sleep 0.1; done"],
            "volumeMounts": [
                {"name": "cm", "mountPath": "/cm"},
                {"name": "cm", "mountPath": "/one", "subPath": "other"},
                {"name": "secret", "mountPath": "/secret"},
                {"name": "token", "mountPath": "/token"},
                {"name": "memory", "mountPath": "/memory"},
                {"name": "disk", "mountPath": "/disk"},
                {"name": "host", "mountPath": "/host"}]}]}),
    );
    let waits = stage.until("a", 10, |s| s["phase"] == "Pending").await;
    assert_eq!(waits["containerStatuses"][0]["state"]["waiting"]["reason"], "ContainerCreating");
    eventually("FailedMount", || stage.events("a").iter().any(|e| e.contains("configmap \"cm\" not found")))
        .await;
    stage
        .api
        .put("secrets", json!({"metadata": {"namespace": "default", "name": "s"}, "data": {"p": "cHc="}}));
    stage.api.put("configmaps", config_map("first\n"));
    std::fs::create_dir_all(&host).unwrap();
    std::os::unix::fs::chown(&host, Some(1000), None).unwrap();
    let status = stage.until_ready("a").await;
    let uid = stage.get("a").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    let folder = stage.containerd.dir.join("kubelet/pods").join(uid).join("volumes");
    let seen = folder.join("kubernetes.io~empty-dir/disk/seen");
    eventually("the loop runs", || seen.exists()).await;
    let log = stage.log("a", "c", 0);
    assert!(log.starts_with("first\nopwtoken-"), "{log}");
    assert!(log.ends_with("a1000\n2000\n1\n"), "{log}");
    assert_eq!(std::fs::read_to_string(host.join("f")).ok().as_deref(), Some("ok\n"));

    stage.api.put("configmaps", config_map("second\n"));
    eventually("the new value in the container", || {
        std::fs::read_to_string(&seen).is_ok_and(|t| t == "second\n")
    })
    .await;
    let after = stage.status("a");
    assert_eq!(status["containerStatuses"][0]["containerID"], after["containerStatuses"][0]["containerID"]);

    stage.api.delete_pod("default", "a", 0);
    eventually("no mount is left", || crate::volume::mounts::below(&folder).unwrap().is_empty()).await;
    eventually("no folder is left", || !folder.exists()).await;
    assert!(host.join("f").exists(), "the host's folder is not the pod's");
}

#[tokio::test(flavor = "multi_thread")]
async fn references_that_are_missing_hold_a_container_back() {
    let stage = Stage::start().await;
    stage.pod(
        "a",
        json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [
        {"name": "c", "command": ["sh", "-c", "echo $KEY; exec sleep 1000"],
         "env": [{"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "key"}}}]}]}),
    );
    let reason = |s: &Value| s["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
    let status = stage.until("a", 10, |s| reason(s) == "CreateContainerConfigError").await;
    assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["message"], "configmap \"cm\" not found");
    stage.api.put("configmaps", config_map("there"));
    stage.until_ready("a").await;
    assert_eq!(stage.log("a", "c", 0), "there\n");
    stage.pod(
        "never",
        json!({"hostNetwork": true, "containers": [
        {"name": "c", "image": "keelson.test/none:1", "imagePullPolicy": "Never"}]}),
    );
    stage.until("never", 10, |s| reason(s) == "ErrImageNeverPull").await;
    stage.pod(
        "pull",
        json!({"hostNetwork": true, "containers": [{"name": "c", "image": "127.0.0.1:1/none:1"}]}),
    );
    stage.until("pull", 20, |s| reason(s) == "ImagePullBackOff").await;
    assert_eq!(stage.status("pull")["phase"], "Pending");
}

/// The API gives no token that lives under ten minutes; the stand-in does, so that a test sees one being renewed.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_ends() {
    let stage = Stage::start().await;
    stage.pod(
        "a",
        json!({
        "hostNetwork": true, "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "token", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 2}}]}}],
        "containers": [{"name": "c",
            "command": ["sh", "-c", "while :; do cat /token/token; echo; sleep 0.2; done"],
            "volumeMounts": [{"name": "token", "mountPath": "/token"}]}]}),
    );
    let before = stage.until_ready("a").await;
    let tokens = || {
        let log = stage.log("a", "c", 0);
        log.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    eventually("three tokens, one after the other", || tokens().len() >= 3).await;
    assert!(tokens().iter().all(|t| t.starts_with("token-")), "never half of one: {:?}", tokens());
    let after = stage.status("a");
    assert_eq!(before["containerStatuses"][0]["containerID"], after["containerStatuses"][0]["containerID"]);
    stage.api.delete_pod("default", "a", 0);
    stage.until_gone("a", 10).await;
}
