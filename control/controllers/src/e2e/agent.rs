//! A played node agent.
//!
//! It models: a node that registers itself and is ready; pods that become ready as soon as they are bound to
//! it, with an address out of the node's range; pods that end as soon as they are deleted. It does not model:
//! containers, probes, grace periods, anything that takes time.

use super::{client, user};
use axum::Router;
use keelson_client::informer::{Change, Informer, Scope};
use keelson_client::views::{Partial, Pod};
use keelson_client::{Client, DeleteParams, Resource};
use serde_json::{Value, json};
use std::collections::HashSet;
use tokio::task::JoinHandle;

pub(super) struct Agent(JoinHandle<()>);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Agent {
    pub(super) async fn start(router: &Router, name: &str) -> Self {
        let client = client(router, user(&format!("system:node:{name}"), &["system:nodes"]));
        register(&client, name).await;
        let task = tokio::spawn(run(client, name.to_owned()));
        Self(task)
    }
}

async fn register(client: &Client, name: &str) {
    let node = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
    });
    client.create::<Value>(&Resource::NODES, "", &node).await.unwrap();
    let amounts = json!({"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"});
    let status = json!({"status": {
        "capacity": amounts, "allocatable": amounts,
        "addresses": [{"type": "InternalIP", "address": "192.0.2.10"}, {"type": "Hostname", "address": name}],
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                        "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }});
    client.patch_status::<Value>(&Resource::NODES, "", name, &status).await.unwrap();
}

async fn run(client: Client, node: String) {
    let scope = Scope { field_selector: format!("spec.nodeName={node}"), ..Scope::default() };
    let pods: Informer<Pod> = Informer::spawn(client.clone(), Resource::PODS, scope);
    let mut feed = pods.subscribe();
    let (mut next, mut started) = (1_u32, HashSet::new());
    while let Some(change) = feed.recv().await {
        let pods = match change {
            Change::Applied { new, .. } => vec![new],
            Change::Deleted(_) => Vec::new(),
            Change::Resync => pods.store().list(),
        };
        for pod in pods {
            if pod.metadata.is_deleting() {
                end(&client, &pod).await;
            } else if started.insert(pod.metadata.uid.clone()) {
                next += 1;
                begin(&client, &node, &pod, next).await;
            }
        }
    }
}

async fn begin(client: &Client, node: &str, pod: &Pod, number: u32) {
    let node = node.trim_start_matches('n');
    let ip = format!("10.244.{node}.{number}");
    let condition =
        |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let status = json!({"status": {
        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
        "conditions": [condition("PodScheduled"), condition("Initialized"), condition("ContainersReady"), condition("Ready")],
    }});
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    // A pod may be gone before it has begun.
    let _ = client.patch_status::<Partial>(&Resource::PODS, namespace, name, &status).await;
}

async fn end(client: &Client, pod: &Pod) {
    let params = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    let _ = client.delete(&Resource::PODS, &pod.metadata.namespace, &pod.metadata.name, &params).await;
}
