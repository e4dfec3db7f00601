//! Writes: names, conflicts, limits, deletion, admission, subresources.

use super::{Server, admin};
use axum::body::Body;
use http::Request;
use keelson_api::identity::UserInfo;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const MAPS: &str = "/api/v1/namespaces/t/configmaps";
const PODS: &str = "/api/v1/namespaces/t/pods";

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).expect("a version")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_names_differ() {
    let server = Server::start().await;
    let mut names = BTreeSet::new();
    for _ in 0..20 {
        let made = server.post(MAPS, &json!({"metadata": {"generateName": "a-"}})).await.expect(201);
        let name = made["metadata"]["name"].as_str().expect("a name").to_owned();
        assert!(name.starts_with("a-") && name.len() == 7, "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), 20);
    let long = "a".repeat(100);
    let made = server.post(MAPS, &json!({"metadata": {"generateName": long}})).await.expect(201);
    assert_eq!(made["metadata"]["name"].as_str().map(str::len), Some(63));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_lose_nothing() {
    let server = Arc::new(Server::start().await);
    server.config_map("shared", json!({})).await;
    let write = |writer: usize| {
        let server = Arc::clone(&server);
        async move {
            for i in 0..20 {
                let patch = json!({"data": {format!("w{writer}-{i}"): "x"}});
                server.merge(&format!("{MAPS}/shared"), &patch).await.expect(200);
            }
        }
    };
    let tasks: Vec<_> = (0..4).map(|writer| tokio::spawn(write(writer))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let object = server.get(&format!("{MAPS}/shared")).await.expect(200);
    assert_eq!(object["data"].as_object().map(serde_json::Map::len), Some(81));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditional_updates() {
    let server = Server::start().await;
    let first = server.config_map("a", json!({})).await;
    let path = format!("{MAPS}/a");
    let mut changed = first.clone();
    changed["data"]["k"] = "2".into();
    let second = server.put(&path, &changed).await.expect(200);
    assert!(version(&second) > version(&first));
    server.put(&path, &changed).await.expect(409);
    let stale =
        json!({"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"k": "3"}});
    server.merge(&path, &stale).await.expect(409);
    let same = server.put(&path, &second).await.expect(200);
    assert_eq!(version(&same), version(&second), "a write of what is there writes nothing");
    let other = json!({"metadata": {"name": "a", "uid": "other"}});
    assert!(
        server.put(&path, &other).await.expect(409)["message"]
            .as_str()
            .expect("text")
            .contains("Precondition failed")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dry_runs_store_nothing() {
    let server = Server::start().await;
    server.config_map("a", json!({})).await;
    let before = server.store.revision();
    let path = format!("{MAPS}/a?dryRun=All");
    let body = json!({"metadata": {"name": "a"}, "data": {"k": "2"}});
    assert_eq!(server.put(&path, &body).await.expect(200)["data"]["k"], "2");
    assert_eq!(server.merge(&path, &json!({"data": {"k": "3"}})).await.expect(200)["data"]["k"], "3");
    server.delete(&path).await.expect(200);
    server.call("DELETE", &format!("{MAPS}?dryRun=All"), "", "").await.expect(200);
    server
        .call("DELETE", &format!("{MAPS}/a"), "application/json", r#"{"dryRun":["All"]}"#)
        .await
        .expect(200);
    assert_eq!(server.store.revision(), before);
    assert_eq!(server.get(&format!("{MAPS}/a")).await.expect(200)["data"]["k"], "v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graceful_deletion() {
    let server = Server::start().await;
    server.post(PODS, &pod("p")).await.expect(201);
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    server.post(&format!("{PODS}/p/binding"), &binding).await.expect(201);
    let marked = server.delete(&format!("{PODS}/p")).await.expect(200);
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    let again = server.delete(&format!("{PODS}/p")).await.expect(200);
    assert_eq!(version(&again), version(&marked), "a second delete changes nothing");
    let shorter = server.delete(&format!("{PODS}/p?gracePeriodSeconds=5")).await.expect(200);
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    server.delete(&format!("{PODS}/p?gracePeriodSeconds=0")).await.expect(200);
    server.get(&format!("{PODS}/p")).await.expect(404);
    server.post(PODS, &pod("unscheduled")).await.expect(201);
    server.delete(&format!("{PODS}/unscheduled")).await.expect(200);
    server.get(&format!("{PODS}/unscheduled")).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finalizers_hold_an_object() {
    let server = Server::start().await;
    let body = json!({"metadata": {"name": "held", "finalizers": ["x.io/y"]}});
    server.post(MAPS, &body).await.expect(201);
    let path = format!("{MAPS}/held");
    let marked = server.delete(&path).await.expect(200);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let late = server.post(MAPS, &json!({"metadata": {"name": "held"}})).await.expect(409);
    assert_eq!(late["message"], "object is being deleted: configmaps \"held\" already exists");
    server.merge(&path, &json!({"metadata": {"finalizers": ["x.io/y", "z.io/new"]}})).await.expect(422);
    server.merge(&path, &json!({"metadata": {"finalizers": null}})).await.expect(200);
    server.get(&path).await.expect(404);
    let options = json!({"propagationPolicy": "Foreground"}).to_string();
    server.config_map("owner", json!({})).await;
    let path = format!("{MAPS}/owner");
    let marked = server.call("DELETE", &path, "application/json", options).await.expect(200);
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_go_when_they_are_finalized() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", &json!({"metadata": {"name": "gone"}})).await.expect(201);
    let marked = server.delete("/api/v1/namespaces/gone").await.expect(200);
    assert_eq!(marked["status"]["phase"], "Terminating");
    let late = json!({"metadata": {"name": "late"}});
    server.post("/api/v1/namespaces/gone/configmaps", &late).await.expect(403);
    let mut finalized = marked;
    finalized["spec"]["finalizers"] = json!([]);
    server.put("/api/v1/namespaces/gone/finalize", &finalized).await.expect(200);
    server.get("/api/v1/namespaces/gone").await.expect(404);
    server.delete("/api/v1/namespaces/default").await.expect(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_are_deleted_by_selector() {
    let server = Server::start().await;
    for (name, label) in [("a", "x"), ("b", "y"), ("c", "x")] {
        server.config_map(name, json!({"l": label})).await;
    }
    let gone = server.delete(&format!("{MAPS}?labelSelector=l%3Dx")).await.expect(200);
    assert_eq!(gone["kind"], "ConfigMapList");
    assert_eq!(gone["items"].as_array().map(Vec::len), Some(2));
    let left = server.get(MAPS).await.expect(200);
    assert_eq!(left["items"][0]["metadata"]["name"], "b");
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused() {
    let server = Server::start().await;
    let big = json!({"metadata": {"name": "big"}, "data": {"k": "x".repeat(4 << 20)}});
    let answer = server.post(MAPS, &big).await.expect(413);
    assert_eq!(answer["message"], "Request entity too large: limit is 3145728");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    server.call("POST", MAPS, "application/json", deep.clone()).await.expect(400);
    server.call("POST", MAPS, "application/yaml", "a: [b\n").await.expect(400);
    server.call("PATCH", &format!("{MAPS}/x"), "application/merge-patch+json", deep).await.expect(400);
    server.call("POST", MAPS, "application/vnd.kubernetes.protobuf", "k8s\0\u{1}").await.expect(400);
    server.call("POST", MAPS, "application/cbor", "x").await.expect(415);
    server.get_as(MAPS, "application/vnd.kubernetes.protobuf").await.expect(406);
    server.get(&format!("{MAPS}/a/nosub")).await.expect(404);
    server.get(&format!("{MAPS}/a/b/c/d")).await.expect(404);
    server.post("/api/v1/configmaps", &json!({})).await.expect(405);
    server.call("OPTIONS", MAPS, "", "").await.expect(405);
    for path in ["/api/v1/namespaces/t/pods/none/exec?command=a", "/api/v1/namespaces/t/pods/none/log"] {
        server.get(path).await.expect(404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_name_verb_and_resource() {
    let server = Server::start().await;
    let user = Arc::new(UserInfo::component("jane"));
    let check = async |method: &str, path: &str, want: &str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = server.send_as(&user, request).await.expect(403);
        assert_eq!(answer["message"], want, "{method} {path}");
    };
    let place = "in API group \"\" in the namespace \"t\"";
    check(
        "GET",
        &format!("{MAPS}/a"),
        &format!("configmaps \"a\" is forbidden: User \"jane\" cannot get resource \"configmaps\" {place}"),
    )
    .await;
    check(
        "GET",
        MAPS,
        &format!("configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" {place}"),
    )
    .await;
    for (method, verb) in [("GET", "get"), ("POST", "create")] {
        check(
            method,
            &format!("{PODS}/p/exec"),
            &format!("pods \"p\" is forbidden: User \"jane\" cannot {verb} resource \"pods/exec\" {place}"),
        )
        .await;
    }
    check("GET", "/metrics", "forbidden: User \"jane\" cannot get path \"/metrics\"").await;
    check("GET", "/apis/apps/v1/deployments?watch=1", "deployments.apps is forbidden: User \"jane\" cannot watch resource \"deployments\" in API group \"apps\" at the cluster scope").await;
}

/// Who may read one object by its name does not get others by saying a selector twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_to_one_name() {
    let server = Server::start().await;
    for name in ["mine", "other"] {
        server.config_map(name, json!({})).await;
    }
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/t";
    let role = json!({"metadata": {"name": "one"}, "rules": [{
        "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"],
        "verbs": ["get", "list", "watch", "deletecollection"],
    }]});
    server.post(&format!("{rbac}/roles"), &role).await.expect(201);
    let binding = json!({
        "metadata": {"name": "one"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
    });
    server.post(&format!("{rbac}/rolebindings"), &binding).await.expect(201);
    server.api.core().auth.reached(server.store.revision()).await;
    let user = Arc::new(UserInfo::component("jane"));
    let call = async |method: &str, query: &str| {
        let request = Request::builder().method(method).uri(format!("{MAPS}?{query}"));
        server.send_as(&user, request.body(Body::empty()).unwrap()).await
    };
    let mine = "fieldSelector=metadata.name%3Dmine";
    for query in
        [mine, &format!("{mine}&fieldSelector="), &format!("{mine}&field%53elector=metadata.name%3Dother")]
    {
        let list = call("GET", query).await.expect(200);
        assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{query}");
        assert_eq!(list["items"][0]["metadata"]["name"], "mine", "{query}");
        let text = call("GET", &format!("watch=1&timeoutSeconds=1&{query}")).await.text();
        assert!(text.contains("\"mine\"") && !text.contains("\"other\""), "{query}: {text}");
    }
    for query in
        ["", "fieldSelector=", "fieldSelector=metadata.name%3Dother", &format!("fieldSelector=&{mine}")]
    {
        call("GET", query).await.expect(403);
        call("DELETE", query).await.expect(403);
    }
    call("DELETE", &format!("{mine}&fieldSelector=")).await.expect(200);
    server.get(&format!("{MAPS}/other")).await.expect(200);
    server.get(&format!("{MAPS}/mine")).await.expect(404);
}

/// A node gets tokens that end with a pod of its own, and no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_nodes() {
    let server = Server::start().await;
    let follow = server.api.core().auth.follow();
    server.post("/api/v1/nodes", &json!({"metadata": {"name": "n"}})).await.expect(201);
    let mut uids = Vec::new();
    for (name, node) in [("mine", "n"), ("other", "m")] {
        uids.push(server.post(PODS, &pod(name)).await.expect(201)["metadata"]["uid"].clone());
        let binding = json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": node}});
        server.post(&format!("{PODS}/{name}/binding"), &binding).await.expect(201);
    }
    let mut node = UserInfo::component("system:node:n");
    node.groups.push("system:nodes".to_owned());
    let node = Arc::new(node);
    let token = async |spec: &Value| {
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let request = Request::post("/api/v1/namespaces/t/serviceaccounts/default/token")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        server.send_as(&node, request.unwrap()).await
    };
    let bound =
        |name: &str, uid: &Value| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid});
    // The node is related to the account as soon as the graph has seen the pod.
    let mine = json!({"boundObjectRef": bound("mine", &uids[0])});
    for _ in 0..200 {
        if token(&mine).await.code == 201 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    token(&mine).await.expect(201);
    for (spec, why) in [
        (json!({}), "node requested token not bound to a pod"),
        (
            json!({"boundObjectRef": bound("mine", &json!(""))}),
            "node requested token with a pod binding without a uid",
        ),
        (json!({"boundObjectRef": bound("other", &uids[1])}), "scheduled on a different node"),
        (
            json!({"boundObjectRef": bound("mine", &uids[0]), "audiences": ["vault"]}),
            "not found in pod spec volume",
        ),
    ] {
        let refused = token(&spec).await.expect(403);
        assert!(
            refused["message"].as_str().is_some_and(|message| message.contains(why)),
            "{spec}: {refused}"
        );
    }
    // Others choose for themselves.
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["vault"]}});
    server.post("/api/v1/namespaces/t/serviceaccounts/default/token", &body).await.expect(201);
    follow.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fixed_paths() {
    let server = Server::start().await;
    let check = async |path: &str, code: u16, has: &str| {
        let answer = server.get(path).await;
        assert_eq!(answer.code, code, "{path}: {}", answer.text());
        assert!(answer.text().contains(has), "{path}: {}", answer.text());
    };
    check("/", 200, "\"/apis/apps/v1\"").await;
    check("/livez", 200, "ok").await;
    // Nobody follows roles and pods yet.
    check("/readyz", 500, "[-]informer-sync failed: reason withheld").await;
    check("/readyz?exclude=informer-sync", 200, "ok").await;
    let auth = std::sync::Arc::clone(&server.api.core().auth);
    let following = auth.follow();
    while !auth.is_following() {
        tokio::task::yield_now().await;
    }
    check("/readyz?verbose", 200, "[+]etcd ok").await;
    check("/", 200, "\"/readyz/informer-sync\"").await;
    following.abort();
    check("/readyz/etcd", 200, "ok").await;
    check("/readyz/nope", 404, "404 page not found").await;
    check("/api/v1", 200, "\"pods/binding\"").await;
    check("/apis/apps", 200, "preferredVersion").await;
    check("/apis/apps/v1", 200, "deployments/scale").await;
    check("/openapi/v2", 200, "x-kubernetes-group-version-kind").await;
    check("/openapi/v3", 200, "apis/apps/v1").await;
    check("/openapi/v3/apis/apps/v1", 200, "io.k8s.api.apps.v1.Deployment").await;
    check("/.well-known/openid-configuration", 200, "jwks_uri").await;
    check("/openid/v1/jwks", 200, "keys").await;
    check("/metrics", 200, "apiserver_request_total").await;
    let index = server.get("/openapi/v3").await.expect(200);
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().expect("a URL");
    let document = server.get(url).await;
    assert_eq!(document.headers["cache-control"], "public, immutable");
    let tag = document.headers["etag"].clone();
    let again = Request::builder().uri(url).header("if-none-match", tag).body(Body::empty()).unwrap();
    assert_eq!(server.send(again).await.code, 304);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_anonymous() {
    let server = Server::start().await;
    let request = Request::builder().uri(MAPS).body(Body::empty()).unwrap();
    let router = server.api.router();
    let reply = tower::ServiceExt::oneshot(router, request).await.unwrap();
    assert_eq!(reply.status(), 403, "anonymous may not list");
    assert_eq!(admin().username, "admin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_views_of_an_event() {
    let server = Server::start().await;
    let body = json!({
        "metadata": {"name": "e"}, "regarding": {"kind": "Pod", "namespace": "t", "name": "p"},
        "eventTime": "2026-01-02T03:04:05.000006Z", "reportingController": "x.io/y", "reportingInstance": "z",
        "action": "A", "reason": "R", "type": "Normal", "note": "n",
    });
    server.post("/apis/events.k8s.io/v1/namespaces/t/events", &body).await.expect(201);
    let core = server.get("/api/v1/namespaces/t/events/e").await.expect(200);
    assert_eq!((&core["message"], &core["involvedObject"]["name"]), (&json!("n"), &json!("p")));
    let newer = server
        .get("/apis/events.k8s.io/v1/namespaces/t/events?fieldSelector=regarding.name%3Dp")
        .await
        .expect(200);
    assert_eq!(newer["items"][0]["note"], "n");
    let patched = server
        .merge("/apis/events.k8s.io/v1/namespaces/t/events/e", &json!({"metadata": {"labels": {"a": "b"}}}))
        .await
        .expect(200);
    assert_eq!(patched["apiVersion"], "events.k8s.io/v1");
    assert_eq!(patched["note"], "n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pod_templates_are_kept() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/t/podtemplates";
    let spec = json!({"containers": [{"name": "c", "image": "i"}]});
    let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": spec});
    let made = server.post(path, &json!({"metadata": {"name": "x"}, "template": template})).await.expect(201);
    assert_eq!((&made["kind"], &made["metadata"]["generation"]), (&json!("PodTemplate"), &json!(1)));
    assert_eq!(made["template"]["spec"]["restartPolicy"], "Always", "defaults are filled in");
    let path = format!("{path}/x");
    for (patch, generation) in [
        (json!({"metadata": {"labels": {"of": "template"}}}), 1),
        (json!({"template": {"metadata": {"labels": {"app": "b"}}}}), 2),
    ] {
        let changed = server.merge(&path, &patch).await.expect(200);
        assert_eq!(changed["metadata"]["generation"], generation, "{patch}");
    }
    let refused = server.merge(&path, &json!({"template": {"spec": {"containers": []}}})).await.expect(422);
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(message.contains("template.spec.containers: Required value"), "{message}");
    server.delete(&path).await.expect(200);
    server.get(&path).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_runtime_class_exists() {
    let server = Server::start().await;
    for (field, value, words) in [
        ("runtimeClassName", json!("gvisor"), "RuntimeClass \"gvisor\" not found"),
        (
            "overhead",
            json!({"cpu": "1"}),
            "Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
    ] {
        let mut pod =
            json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        pod["spec"][field] = value;
        let refused = server.post(PODS, &pod).await.expect(403);
        assert_eq!(refused["message"], format!("pods \"p\" is forbidden: pod rejected: {words}"));
    }
}
