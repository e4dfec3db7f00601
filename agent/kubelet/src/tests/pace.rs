//! Many pods at once. Asserts that all become Ready; the times are printed beside the same calls made bare.

use super::image::BUSYBOX;
use super::stage::{Stage, condition};
use crate::cgroup::Cgroups;
use crate::cri::Cri;
use crate::cri::container::{ContainerInputs, config as container_config};
use crate::cri::sandbox::{SandboxInputs, config as sandbox_config};
use crate::pod::Pod;
use crate::pod::quantity::{Limits, Qos};
use keelson_proto::cri::{CreateContainerRequest, DnsConfig};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn spec() -> Value {
    json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "command": ["sleep", "1000"]}]})
}

/// Sandbox, container, start: what any kubelet must ask for.
async fn bare(cri: &Cri, stage: &Stage, name: &str) {
    let mut spec = spec();
    spec["containers"][0]["image"] = json!(BUSYBOX);
    let pod: Pod = serde_json::from_value(
        json!({"metadata": {"name": name, "namespace": "bare", "uid": format!("uid-{name}")}, "spec": spec}),
    )
    .unwrap();
    let groups = Cgroups::detect(&stage.containerd.cgroup_root()).unwrap();
    groups.create_pod(Qos::BestEffort, &pod.meta.uid, Limits::of_pod(&pod)).unwrap();
    let logs = stage.containerd.dir.join("bare-logs").join(name);
    std::fs::create_dir_all(logs.join("c")).unwrap();
    let mut sandbox = sandbox_config(
        &pod,
        SandboxInputs {
            attempt: 0,
            hostname: name,
            log_dir: &logs,
            dns: DnsConfig::default(),
            cgroup_parent: &groups.pod(Qos::BestEffort, &pod.meta.uid),
            seccomp_profiles: Path::new("/"),
        },
    );
    // Without labels the kubelet does not take them for pods that the API forgot.
    sandbox.labels.clear();
    let id = cri.run_pod_sandbox(sandbox.clone()).await.unwrap();
    let mut container = container_config(
        &pod,
        &pod.spec.containers[0],
        ContainerInputs {
            attempt: 0,
            image: BUSYBOX,
            image_user: Default::default(),
            env: Vec::new(),
            command: pod.spec.containers[0].command.clone(),
            args: Vec::new(),
            mounts: Vec::new(),
            termination_file: Path::new(""),
            memory_capacity_bytes: 1 << 30,
            seccomp_profiles: Path::new("/"),
        },
    );
    container.labels.clear();
    let request =
        CreateContainerRequest { pod_sandbox_id: id, config: Some(container), sandbox_config: Some(sandbox) };
    let id = cri.create_container(request).await.unwrap();
    cri.start_container(&id).await.unwrap();
}

async fn bare_round(stage: &Arc<Stage>, prefix: &str, count: usize) -> Duration {
    let cri = Cri::new(&stage.containerd.socket()).unwrap();
    cri.version().await.unwrap();
    let begun = Instant::now();
    let tasks: Vec<_> = (0..count)
        .map(|n| {
            let (cri, stage, name) = (cri.clone(), Arc::clone(stage), format!("{prefix}-{n}"));
            tokio::spawn(async move { bare(&cri, &stage, &name).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = begun.elapsed();
    for sandbox in cri.list_pod_sandbox().await.unwrap() {
        if sandbox.metadata.is_some_and(|m| m.namespace == "bare") {
            cri.stop_pod_sandbox(&sandbox.id).await.unwrap();
            cri.remove_pod_sandbox(&sandbox.id).await.unwrap();
        }
    }
    took
}

async fn kubelet_round(stage: &Stage, prefix: &str, count: usize) -> Duration {
    let names: Vec<String> = (0..count).map(|n| format!("{prefix}-{n}")).collect();
    let begun = Instant::now();
    for name in &names {
        stage.pod(name, spec());
    }
    for name in &names {
        stage.until(name, 120, |s| condition(s, "Ready") == "True").await;
    }
    let took = begun.elapsed();
    for name in &names {
        stage.api.delete_pod("default", name, 0);
    }
    while !Cri::new(&stage.containerd.socket()).unwrap().list_pod_sandbox().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn one_and_thirty_and_a_hundred_and_ten_pods_at_once() {
    let stage = Arc::new(Stage::start().await);
    kubelet_round(&stage, "warm", 1).await;
    for round in 0..3 {
        let bare_one = bare_round(&stage, &format!("bare-one-{round}"), 1).await;
        let one = kubelet_round(&stage, &format!("one-{round}"), 1).await;
        println!("one pod: bare {bare_one:?}, kubelet {one:?}");
    }
    for round in 0..2 {
        let bare_many = bare_round(&stage, &format!("bare-many-{round}"), 30).await;
        let many = kubelet_round(&stage, &format!("many-{round}"), 30).await;
        println!("thirty pods: bare {bare_many:?}, kubelet {many:?}");
    }
    let all = kubelet_round(&stage, "all", 110).await;
    println!("a hundred and ten pods: kubelet {all:?}");
}
