//! The agent and the runtime restarted under running pods.

use super::image::BUSYBOX;
use super::stage::{Stage, condition, eventually, eventually_in};
use crate::cri::Cri;
use crate::cri::sandbox::{SandboxInputs, config};
use crate::pod::Pod;
use keelson_proto::cri::{ContainerConfig, ContainerMetadata, CreateContainerRequest, ImageSpec};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
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

/// The cgroup of a best-effort pod in every hierarchy.
fn cgroups(parent: &str) -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mounts.lines().filter(|l| l.contains(" - cgroup")).filter_map(|l| l.split(' ').nth(4));
    points.map(|mount| PathBuf::from(format!("{mount}{parent}"))).filter(|path| path.exists()).collect()
}

/// A runtime whose caller died amid a start may hold a sandbox that no agent has heard of, or lose a process.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_unknown_to_the_agent_ends_with_its_pod() {
    let stage = Stage::start().await;
    let parent = |uid: &str| format!("{}/kubepods/besteffort/pod{uid}", stage.containerd.cgroup_root());
    let uid = |name: &str| stage.get(name).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    let sleep = json!([{"name": "c", "command": ["sleep", "1000"]}]);
    stage
        .pod("shared", json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": sleep}));
    // Its name is too long for a host's: the agent makes no sandbox for it.
    stage.pod(
        "bare",
        json!({"terminationGracePeriodSeconds": 0, "setHostnameAsFQDN": true, "subdomain": "s".repeat(63),
               "containers": sleep}),
    );
    stage.until_ready("shared").await;
    eventually_in(
        "the refusal",
        || stage.events("bare"),
        |events| events.iter().any(|e| e.starts_with("FailedCreatePodSandBox")),
    )
    .await;

    let mut stray = Command::new("sleep").arg("60").spawn().unwrap();
    let groups = cgroups(&parent(&uid("shared")));
    assert!(!groups.is_empty());
    for group in groups {
        std::fs::write(group.join("cgroup.procs"), stray.id().to_string()).unwrap();
    }
    let mut pod = stage.get("bare").unwrap();
    pod.as_object_mut().unwrap().remove("status");
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let sandbox = config(
        &pod,
        SandboxInputs {
            attempt: 7,
            hostname: "late",
            log_dir: &stage.containerd.dir,
            dns: Default::default(),
            cgroup_parent: &parent(&pod.meta.uid),
            seccomp_profiles: &stage.containerd.dir,
        },
    );
    let cri = Cri::new(&stage.containerd.socket()).unwrap();
    let late = cri.run_pod_sandbox(sandbox.clone()).await.unwrap();
    let container = ContainerConfig {
        metadata: Some(ContainerMetadata { name: "c".into(), attempt: 0 }),
        image: Some(ImageSpec { image: BUSYBOX.into(), ..ImageSpec::default() }),
        command: vec!["sleep".into(), "1000".into()],
        labels: sandbox.labels.clone(),
        ..ContainerConfig::default()
    };
    let request = CreateContainerRequest {
        pod_sandbox_id: late,
        config: Some(container),
        sandbox_config: Some(sandbox),
    };
    // Of this task CRI knows nothing, as of that of a start which was cut off, and so does not remove its container.
    let lost = cri.create_container(request).await.unwrap();
    stage.containerd.ctr(&["tasks", "start", "--detach", &lost]);
    assert!(cri.remove_container(&lost).await.is_err_and(|error| error.is_precondition()));

    for name in ["shared", "bare"] {
        stage.api.delete_pod("default", name, 0);
    }
    for name in ["shared", "bare"] {
        stage.until_gone(name, 20).await;
    }
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&stray.wait().unwrap()), Some(9));
    for kind in ["tasks", "containers"] {
        eventually_in(kind, || stage.containerd.ctr(&[kind, "ls", "-q"]), String::is_empty).await;
    }
}
