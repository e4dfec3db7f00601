use super::plan::{Plan, plan};
use keelson_client::views::{Endpoints, Pod, Service};
use serde_json::{Value, json};
use std::sync::Arc;

fn service(spec: Value) -> Service {
    let mut object = json!({
        "metadata": {"name": "web", "namespace": "t", "labels": {"team": "a"}},
        "spec": {"clusterIP": "10.96.0.5", "selector": {"app": "web"},
                 "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]}
    });
    for (name, value) in spec.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn pod(index: usize, ready: bool, deleting: bool) -> Arc<Pod> {
    let name = format!("p{index}");
    let mut object = json!({
        "metadata": {"name": name, "namespace": "t", "uid": name, "labels": {"app": "web"}},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "podIP": format!("10.244.{}.{}", index / 250, index % 250 + 1),
                   "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}
    });
    if deleting {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    Arc::new(serde_json::from_value(object).unwrap())
}

/// Ready and not ready addresses of the only subset.
fn addresses(plan: &Plan) -> (usize, usize) {
    let (Plan::Create(body) | Plan::Update(body)) = plan else { panic!("{plan:?}") };
    let count = |name: &str| body["subsets"][0][name].as_array().map_or(0, Vec::len);
    (count("addresses"), count("notReadyAddresses"))
}

#[test]
fn who_is_listed_where() {
    let pods = [pod(0, true, false), pod(1, false, false), pod(2, true, true)];
    assert_eq!(addresses(&plan(&service(json!({})), &pods, None)), (1, 1));
    let publish = service(json!({"publishNotReadyAddresses": true}));
    assert_eq!(addresses(&plan(&publish, &pods, None)), (3, 0));
}

#[test]
fn an_object_at_rest_is_not_written() {
    let service = service(json!({}));
    let pods = [pod(0, true, false), pod(1, true, false)];
    let Plan::Create(body) = plan(&service, &pods, None) else { panic!() };
    assert_eq!(body["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"], "endpoint-controller");
    let existing: Endpoints = serde_json::from_value(body).unwrap();
    assert_eq!(plan(&service, &pods, Some(&existing)), Plan::Nothing);
    let fewer = plan(&service, &pods[..1], Some(&existing));
    assert_eq!(addresses(&fewer), (1, 0));
    assert!(matches!(fewer, Plan::Update(_)));
}

#[test]
fn too_many_addresses_keep_the_ready_ones() {
    let mut pods: Vec<_> = (0..600).map(|i| pod(i, false, false)).collect();
    pods.extend((600..1200).map(|i| pod(i, true, false)));
    let plan = plan(&service(json!({})), &pods, None);
    assert_eq!(addresses(&plan), (600, 400));
    let Plan::Create(body) = plan else { panic!() };
    assert_eq!(body["metadata"]["annotations"]["endpoints.kubernetes.io/over-capacity"], "truncated");
}
