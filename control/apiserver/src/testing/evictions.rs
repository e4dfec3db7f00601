//! Evictions, and bindings by the pod's name in the body.

use super::Server;
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/t/pods";

/// A pod; on a node unless that is empty.
async fn pod(server: &Server, name: &str, node: &str) -> Value {
    let spec = json!({"containers": [{"name": "c", "image": "i"}], "nodeName": node});
    server.post(PODS, &json!({"metadata": {"name": name}, "spec": spec})).await.expect(201)
}

fn eviction(name: &str, options: &Value) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": name, "namespace": "t"}, "deleteOptions": options,
    })
}

async fn evict(server: &Server, name: &str, query: &str, options: Value) -> (u16, Value) {
    let answer = server.post(&format!("{PODS}/{name}/eviction{query}"), &eviction(name, &options)).await;
    (answer.code, answer.json())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evicted_pod_is_marked_and_deleted() {
    let server = Server::start().await;
    let made = pod(&server, "p", "n").await;
    let unchanged = async || assert_eq!(server.get(&format!("{PODS}/p")).await.expect(200), made);
    let success =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    for (query, options) in [("?dryRun=All", json!(null)), ("", json!({"dryRun": ["All"]}))] {
        assert_eq!(evict(&server, "p", query, options).await, (201, success.clone()));
        unchanged().await;
    }
    for (precondition, word) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let (code, status) = evict(&server, "p", "", json!({"preconditions": {precondition: "other"}})).await;
        let message = status["message"].as_str().unwrap_or_default();
        assert!(
            code == 409 && message.contains(&format!("the {word} in the precondition (other)")),
            "{status}"
        );
        unchanged().await;
    }
    let metadata = &made["metadata"];
    let both = json!({"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]});
    let options = json!({"preconditions": both, "gracePeriodSeconds": 7});
    assert_eq!(evict(&server, "p", "", options).await, (201, success.clone()));
    let ending = server.get(&format!("{PODS}/p")).await.expect(200);
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 7);
    let conditions = ending["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let mark = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").expect("marked");
    assert_eq!((&mark["status"], &mark["reason"]), (&json!("True"), &json!("EvictionByEvictionAPI")));

    // Nobody runs it: it is gone at once.
    pod(&server, "waiting", "").await;
    assert_eq!(evict(&server, "waiting", "", json!(null)).await, (201, success));
    server.get(&format!("{PODS}/waiting")).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evictions_that_are_refused() {
    let server = Server::start().await;
    pod(&server, "p", "n").await;
    assert_eq!(evict(&server, "missing", "", json!(null)).await.0, 404);
    let wrong = server.post(&format!("{PODS}/p/eviction"), &eviction("q", &json!(null))).await.expect(400);
    assert_eq!(wrong["message"], "name in URL does not match name in Eviction object");
    let mut elsewhere = eviction("p", &json!(null));
    elsewhere["metadata"]["namespace"] = "default".into();
    server.post(&format!("{PODS}/p/eviction"), &elsewhere).await.expect(400);
    let answer = server.get(&format!("{PODS}/p/eviction")).await;
    assert_eq!(answer.code, 405, "{}", answer.text());
    assert!(server.get(&format!("{PODS}/p")).await.expect(200)["metadata"]["deletionTimestamp"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bindings_name_their_pod() {
    let server = Server::start().await;
    pod(&server, "p", "").await;
    let binding = |name: &str, namespace: &str| {
        let metadata = json!({"name": name, "namespace": namespace});
        json!({"metadata": metadata, "target": {"kind": "Node", "name": "n"}})
    };
    let path = "/api/v1/namespaces/t/bindings";
    server.post(path, &binding("p", "default")).await.expect(400);
    server.post(path, &binding("missing", "t")).await.expect(404);
    server.post("/api/v1/bindings", &binding("p", "t")).await.expect(405);
    let answer = server.post(path, &binding("p", "")).await.expect(201);
    assert_eq!(answer["status"], "Success");
    assert_eq!(server.get(&format!("{PODS}/p")).await.expect(200)["spec"]["nodeName"], "n");
    let again = server.post(path, &binding("p", "t")).await.expect(409);
    assert!(again["message"].as_str().is_some_and(|m| m.contains("is already assigned to node")), "{again}");
    server.get(path).await.expect(405);
    let listed = server.get("/api/v1").await.expect(200);
    let listed = listed["resources"].as_array().cloned().unwrap_or_default();
    for want in [
        json!({"name": "bindings", "singularName": "binding", "namespaced": true, "kind": "Binding", "verbs": ["create"]}),
        json!({
            "name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy", "version": "v1",
            "kind": "Eviction", "verbs": ["create"],
        }),
    ] {
        assert!(listed.contains(&want), "{want}");
    }
}
