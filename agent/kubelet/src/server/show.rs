//! `/pods` and `/metrics`.

use super::Body;
use crate::run::{Directory, PodEntry};
use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

fn reply(content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The node's pods with the status that the kubelet wants in the API. Specs hold what identifies a pod's
/// containers; the API has the whole.
pub(super) fn pods(directory: &Directory) -> Response<Body> {
    let items: Vec<Value> = directory.list().iter().map(item).collect();
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
    reply("application/json", list.to_string())
}

fn item(entry: &PodEntry) -> Value {
    let pod = &entry.pod;
    let containers = |list: &[crate::pod::spec::ContainerSpec]| -> Vec<Value> {
        list.iter().map(|c| json!({"name": c.name, "image": c.image})).collect()
    };
    json!({
        "metadata": pod.meta,
        "spec": {
            "nodeName": pod.spec.node_name,
            "initContainers": containers(&pod.spec.init_containers),
            "containers": containers(&pod.spec.containers),
        },
        "status": entry.status,
    })
}

pub(super) fn metrics(directory: &Directory) -> Response<Body> {
    let entries = directory.list();
    let mut phases: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &entries {
        let phase = entry.status.get("phase").and_then(Value::as_str).unwrap_or("Unknown");
        *phases.entry(phase.to_owned()).or_default() += 1;
    }
    let running = entries.iter().flat_map(|e| e.containers.values()).filter(|c| c.running).count();
    let sandboxes = entries.iter().filter(|e| e.sandbox.is_some()).count();
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP kubelet_running_pods Pods that have a running pod sandbox");
    let _ = writeln!(out, "# TYPE kubelet_running_pods gauge\nkubelet_running_pods {sandboxes}");
    let _ = writeln!(out, "# HELP kubelet_running_containers Containers that run now");
    let _ = writeln!(out, "# TYPE kubelet_running_containers gauge");
    let _ = writeln!(out, "kubelet_running_containers{{container_state=\"running\"}} {running}");
    let _ = writeln!(out, "# HELP keelson_kubelet_pods Pods on this node by phase");
    let _ = writeln!(out, "# TYPE keelson_kubelet_pods gauge");
    for (phase, count) in phases {
        let _ = writeln!(out, "keelson_kubelet_pods{{phase=\"{phase}\"}} {count}");
    }
    reply("text/plain; version=0.0.4; charset=utf-8", out)
}
