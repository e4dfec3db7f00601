//! One node for one test: a runtime, an API and a kubelet between them.

use super::api::Api;
use super::image::{BUSYBOX, PAUSE};
use super::runtime::Containerd;
use super::tls::Tls;
use crate::{Kubelet, KubeletConfig, KubeletHandle};
use keelson_client::Client;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// So many containerds at a time: tests wait more than they work.
static PLACES: Semaphore = Semaphore::const_new(6);

pub struct Stage {
    pub api: Api,
    pub kubelet: Option<KubeletHandle>,
    pub tls: Tls,
    /// Of the kubelets that are started from now on.
    pub look_period: Duration,
    /// Last to go: everything above uses it.
    pub containerd: Containerd,
    _place: SemaphorePermit<'static>,
}

impl Stage {
    pub async fn start() -> Self {
        Self::looking_every(Duration::from_secs(1)).await
    }

    /// With a kubelet that looks at the runtime only so often when it is told nothing.
    pub async fn looking_every(look_period: Duration) -> Self {
        let place = PLACES.acquire().await.unwrap();
        let containerd = tokio::task::spawn_blocking(Containerd::start).await.unwrap();
        let mut stage =
            Self { api: Api::new(), kubelet: None, tls: Tls::new(), look_period, containerd, _place: place };
        stage.start_kubelet().await;
        stage
    }

    pub async fn start_kubelet(&mut self) {
        let client = Client::new(Arc::new(self.api.clone()), "kubelet-test");
        self.kubelet = Some(Kubelet::start(self.config(), client, self.tls.serving.clone()).await.unwrap());
    }

    pub async fn stop_kubelet(&mut self) {
        self.kubelet.take().unwrap().shutdown().await;
    }

    pub fn config(&self) -> KubeletConfig {
        let dir = &self.containerd.dir;
        let mut config = KubeletConfig::new("node", IpAddr::from([127, 0, 0, 1]));
        config.root_dir = dir.join("kubelet");
        config.pod_log_dir = dir.join("logs");
        config.cri_socket = self.containerd.socket();
        config.cgroup_root = self.containerd.cgroup_root();
        config.listen = ([127, 0, 0, 1], 0).into();
        config.sandbox_image = PAUSE.to_owned();
        config.log_bytes_max = 4096;
        config.log_files_max = 2;
        config.resolv_conf = dir.join("resolv.conf");
        config.look_period = self.look_period;
        config
    }

    /// Creates a pod bound to the node; `spec` is its spec but for the image of its containers.
    pub fn pod(&self, name: &str, mut spec: Value) {
        spec["nodeName"] = json!("node");
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                container.as_object_mut().unwrap().entry("image").or_insert(json!(BUSYBOX));
            }
        }
        self.api.put("pods", json!({"metadata": {"namespace": "default", "name": name}, "spec": spec}));
    }

    pub fn get(&self, name: &str) -> Option<Value> {
        self.api.get("pods", "default", name)
    }

    pub fn status(&self, name: &str) -> Value {
        self.get(name).map_or(Value::Null, |p| p["status"].clone())
    }

    /// Waits until the pod satisfies `check`; its status is shown when it never does.
    pub async fn until(&self, name: &str, limit_s: u64, check: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(limit_s);
        loop {
            let status = self.status(name);
            if check(&status) {
                return status;
            }
            assert!(
                Instant::now() < end,
                "pod {name} after {limit_s} s: {status:#}\nevents: {:#?}",
                self.events(name)
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn until_ready(&self, name: &str) -> Value {
        self.until(name, 20, |s| condition(s, "Ready") == "True").await
    }

    pub async fn until_gone(&self, name: &str, limit_s: u64) {
        let end = Instant::now() + Duration::from_secs(limit_s);
        while self.get(name).is_some() {
            assert!(Instant::now() < end, "pod {name} is still there: {:#}", self.status(name));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// `reason: message` of the events about a pod.
    pub fn events(&self, name: &str) -> Vec<String> {
        let text = |e: &Value, p: &str| e.pointer(p).and_then(Value::as_str).unwrap_or("").to_owned();
        self.api
            .list("events")
            .iter()
            .filter(|e| text(e, "/involvedObject/name") == name)
            .map(|e| format!("{}: {}", text(e, "/reason"), text(e, "/message")))
            .collect()
    }

    /// The text of a container's log.
    pub fn log(&self, name: &str, container: &str, attempt: u32) -> String {
        let uid = self.get(name).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
        let folder = self.containerd.dir.join("logs").join(format!("default_{name}_{uid}"));
        crate::logs::tail_text(&folder.join(format!("{container}/{attempt}.log")), 1000, 1 << 20)
    }
}

pub fn condition(status: &Value, kind: &str) -> String {
    let list = status["conditions"].as_array();
    list.and_then(|l| l.iter().find(|c| c["type"] == kind))
        .and_then(|c| c["status"].as_str())
        .unwrap_or("")
        .to_owned()
}

/// Waits for `check`, with a limit that only a machine at its knees would reach.
pub async fn eventually(what: &str, check: impl Fn() -> bool) {
    eventually_in(what, || (), |()| check()).await;
}

/// Waits until `check` holds for what `look` sees, and shows what it saw last when it never does.
pub async fn eventually_in<T: std::fmt::Debug>(what: &str, look: impl Fn() -> T, check: impl Fn(&T) -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let seen = look();
        if check(&seen) {
            return;
        }
        assert!(Instant::now() < end, "never: {what}: {seen:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
