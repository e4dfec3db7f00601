//! Deployments with their Services, from creation to deletion.

use super::Cluster;
use keelson_client::{DeleteParams, PatchKind, Resource};
use serde_json::{Value, json};

fn deployment(replicas: i64) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                         "spec": {"containers": [{"name": "c", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080}]}]}},
        },
    })
}

fn service() -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    })
}

/// Ready addresses in all slices of the Service.
async fn ready(cluster: &Cluster) -> usize {
    let slices = cluster.list(&Resource::ENDPOINT_SLICES, "t").await;
    let endpoints = slices.iter().flat_map(|s| s["endpoints"].as_array().cloned().unwrap_or_default());
    endpoints.filter(|e| e["conditions"]["ready"] == true).count()
}

async fn rolled_out(cluster: &Cluster, replicas: i64) -> bool {
    let web = cluster.get(&Resource::DEPLOYMENTS, "t", "web").await.unwrap();
    let status = &web["status"];
    let count = |name: &str| status[name].as_i64().unwrap_or(0);
    status["observedGeneration"] == web["metadata"]["generation"]
        && ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"]
            .iter()
            .all(|n| count(n) == replicas)
        && condition(&web, "Progressing") == "NewReplicaSetAvailable"
}

fn condition(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|c| c["type"] == kind);
    found.and_then(|c| c["reason"].as_str()).unwrap_or_default().to_owned()
}

async fn set_image(cluster: &Cluster, image: &str) {
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}});
    cluster.admin.strategic_patch::<Value>(&Resource::DEPLOYMENTS, "t", "web", &patch).await.unwrap();
}

fn image(object: &Value) -> &str {
    object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_lives() {
    let cluster = Cluster::start(3).await;
    cluster.create(&Resource::SERVICES, "t", service()).await;
    cluster.create(&Resource::DEPLOYMENTS, "t", deployment(4)).await;
    let made = cluster.until("pods", async |c| c.list(&Resource::PODS, "t").await.len() == 4).await;
    let served = cluster.until("endpoints", async |c| ready(c).await == 4).await;
    cluster.until("rolled out", async |c| rolled_out(c, 4).await).await;
    println!("deployment -> pods {made:?}, -> 4 ready endpoints after {served:?} more");
    spread_over_nodes(&cluster).await;

    set_image(&cluster, "web:2").await;
    let took = cluster.until("updated", async |c| rolled_out(c, 4).await).await;
    println!("rolling update of 4 pods {took:?}");
    cluster.until("old pods gone", async |c| c.list(&Resource::PODS, "t").await.len() == 4).await;
    let sets = cluster.list(&Resource::REPLICA_SETS, "t").await;
    assert_eq!(sets.len(), 2, "the old revision is kept");
    let web = cluster.get(&Resource::DEPLOYMENTS, "t", "web").await.unwrap();
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");

    // What `kubectl rollout undo` does: the template of the old revision comes back.
    set_image(&cluster, "web:1").await;
    cluster.until("rolled back", async |c| rolled_out(c, 4).await).await;
    let sets = cluster.list(&Resource::REPLICA_SETS, "t").await;
    assert_eq!(sets.len(), 2, "its old set is used again");
    let current = sets.iter().find(|s| image(s) == "web:1").unwrap();
    assert_eq!(current["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");

    let scale = json!({"spec": {"replicas": 9}});
    let kind = PatchKind::Merge;
    let scaled: Value = cluster
        .admin
        .patch_subresource(&Resource::DEPLOYMENTS, "t", "web", "scale", kind, &scale)
        .await
        .unwrap();
    assert_eq!(scaled["spec"]["replicas"], 9);
    cluster.until("scaled up", async |c| rolled_out(c, 9).await && ready(c).await == 9).await;
    cluster
        .admin
        .merge_patch::<Value>(&Resource::DEPLOYMENTS, "t", "web", &json!({"spec": {"replicas": 2}}))
        .await
        .unwrap();
    cluster.until("scaled down", async |c| rolled_out(c, 2).await && ready(c).await == 2).await;

    cluster.admin.delete(&Resource::DEPLOYMENTS, "t", "web", &DeleteParams::default()).await.unwrap();
    let gone = cluster
        .until("everything gone", async |c| {
            c.list(&Resource::PODS, "t").await.is_empty()
                && c.list(&Resource::REPLICA_SETS, "t").await.is_empty()
        })
        .await;
    println!("deletion of the deployment -> no pods {gone:?}");
    cluster.until("no endpoints", async |c| ready(c).await == 0).await;
    cluster.admin.delete(&Resource::SERVICES, "t", "web", &DeleteParams::default()).await.unwrap();
    cluster.until("no slices", async |c| c.list(&Resource::ENDPOINT_SLICES, "t").await.is_empty()).await;
    cluster
        .until("no endpoints object", async |c| c.get(&Resource::ENDPOINTS, "t", "web").await.is_none())
        .await;
    cluster.stop().await;
}

async fn spread_over_nodes(cluster: &Cluster) {
    let pods = cluster.list(&Resource::PODS, "t").await;
    let mut nodes: Vec<&str> = pods.iter().filter_map(|p| p["spec"]["nodeName"].as_str()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes, ["n0", "n1", "n2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unready_pod_leaves_the_endpoints() {
    let cluster = Cluster::start(1).await;
    cluster.create(&Resource::SERVICES, "t", service()).await;
    cluster.create(&Resource::DEPLOYMENTS, "t", deployment(3)).await;
    cluster.until("endpoints", async |c| ready(c).await == 3).await;
    let pod = cluster.list(&Resource::PODS, "t").await.remove(0);
    let name = pod["metadata"]["name"].as_str().unwrap();
    let mut took = Vec::new();
    for (status, left) in [("False", 2), ("True", 3)] {
        let condition =
            json!({"type": "Ready", "status": status, "lastTransitionTime": "2026-01-01T00:00:10Z"});
        let patch = json!({"status": {"conditions": [condition]}});
        let kind = PatchKind::Strategic;
        let _: Value = cluster
            .admin
            .patch_subresource(&Resource::PODS, "t", name, "status", kind, &patch)
            .await
            .unwrap();
        took.push(cluster.until("the change in the slice", async |c| ready(c).await == left).await);
        let subset = async |c: &Cluster| {
            let endpoints = c.get(&Resource::ENDPOINTS, "t", "web").await.unwrap_or_default();
            endpoints["subsets"][0]["addresses"].as_array().map_or(0, Vec::len) == left
        };
        cluster.until("the change in the legacy object", subset).await;
    }
    println!("pod not ready -> slice {:?}, ready -> slice {:?}", took[0], took[1]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_fits_nowhere_says_so_and_goes_when_it_can() {
    let cluster = Cluster::start(1).await;
    let pod = json!({"metadata": {"name": "big"}, "spec": {"containers": [
        {"name": "c", "image": "x", "resources": {"requests": {"cpu": "20"}}}]}});
    cluster.create(&Resource::PODS, "t", pod).await;
    cluster
        .until("the condition", async |c| {
            let pod = c.get(&Resource::PODS, "t", "big").await.unwrap();
            let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|c| {
                c["type"] == "PodScheduled"
                    && c["reason"] == "Unschedulable"
                    && c["message"] == "0/1 nodes are available: 1 Insufficient cpu."
            })
        })
        .await;
    cluster
        .until("the event", async |c| {
            c.list(&Resource::EVENTS, "t").await.iter().any(|e| e["reason"] == "FailedScheduling")
        })
        .await;
    let more = json!({"status": {"allocatable": {"cpu": "32"}}});
    let _: Value = cluster.admin.patch_status(&Resource::NODES, "", "n0", &more).await.unwrap();
    let took = cluster
        .until("bound", async |c| {
            c.get(&Resource::PODS, "t", "big").await.unwrap()["spec"]["nodeName"] == "n0"
        })
        .await;
    println!("capacity -> bound {took:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_pods_at_once() {
    let cluster = Cluster::start(3).await;
    cluster.create(&Resource::SERVICES, "t", service()).await;
    cluster.create(&Resource::DEPLOYMENTS, "t", deployment(250)).await;
    let bound = cluster
        .until("all bound", async |c| {
            let pods = c.list(&Resource::PODS, "t").await;
            pods.len() == 250 && pods.iter().all(|p| p["spec"]["nodeName"].is_string())
        })
        .await;
    let served = cluster.until("all served", async |c| ready(c).await == 250).await;
    println!("250 replicas -> bound {bound:?}, -> in slices after {served:?} more");
    let slices = cluster.list(&Resource::ENDPOINT_SLICES, "t").await;
    assert!(slices.iter().all(|s| s["endpoints"].as_array().is_some_and(|e| e.len() <= 100)));
    let scale = json!({"spec": {"replicas": 0}});
    let _: Value = cluster.admin.merge_patch(&Resource::DEPLOYMENTS, "t", "web", &scale).await.unwrap();
    cluster.until("none left", async |c| c.list(&Resource::PODS, "t").await.is_empty()).await;
    cluster.until("at rest", async |c| rolled_out(c, 0).await).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_users_keep_are_mirrored() {
    let cluster = Cluster::start(0).await;
    let service = json!({"metadata": {"name": "db"}, "spec": {"ports": [{"port": 80}]}});
    cluster.create(&Resource::SERVICES, "t", service).await;
    let kept = |ip: &str| json!({"metadata": {"name": "db"}, "subsets": [{"addresses": [{"ip": ip}], "ports": [{"port": 80}]}]});
    let mirrored = async |c: &Cluster| {
        let slices = c.list(&Resource::ENDPOINT_SLICES, "t").await;
        slices.iter().map(|s| s["endpoints"][0]["addresses"][0].clone()).collect::<Vec<_>>()
    };
    cluster.create(&Resource::ENDPOINTS, "t", kept("10.1.2.3")).await;
    cluster.until("a mirror", async |c| mirrored(c).await == ["10.1.2.3"]).await;
    let _: Value =
        cluster.admin.merge_patch(&Resource::ENDPOINTS, "t", "db", &kept("10.2.3.4")).await.unwrap();
    cluster.until("the change", async |c| mirrored(c).await == ["10.2.3.4"]).await;
    cluster.admin.delete(&Resource::ENDPOINTS, "t", "db", &DeleteParams::default()).await.unwrap();
    cluster.until("no mirror", async |c| mirrored(c).await.is_empty()).await;
    cluster.stop().await;
}
