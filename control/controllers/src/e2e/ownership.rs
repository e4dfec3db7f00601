//! Namespaces, owners and nodes that go away.

use super::Cluster;
use keelson_client::{DeleteParams, Propagation, Resource};
use serde_json::{Value, json};

fn map(name: &str, owners: Value) -> Value {
    json!({"metadata": {"name": name, "ownerReferences": owners}})
}

fn owned_by(owner: &Value, block: bool) -> Value {
    json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "blockOwnerDeletion": block}])
}

async fn delete(cluster: &Cluster, name: &str, propagation: Propagation) {
    let params = DeleteParams { propagation: Some(propagation), ..DeleteParams::default() };
    cluster.admin.delete(&Resource::CONFIG_MAPS, "t", name, &params).await.unwrap();
}

async fn exists(cluster: &Cluster, name: &str) -> bool {
    cluster.get(&Resource::CONFIG_MAPS, "t", name).await.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn dependents_go_stay_or_go_first() {
    let cluster = Cluster::start(0).await;
    let owner = cluster.create(&Resource::CONFIG_MAPS, "t", map("a", json!([]))).await;
    let child = cluster.create(&Resource::CONFIG_MAPS, "t", map("a-child", owned_by(&owner, false))).await;
    cluster.create(&Resource::CONFIG_MAPS, "t", map("a-grandchild", owned_by(&child, false))).await;
    delete(&cluster, "a", Propagation::Background).await;
    cluster
        .until("the whole tree gone", async |c| {
            !exists(c, "a-child").await && !exists(c, "a-grandchild").await
        })
        .await;

    let owner = cluster.create(&Resource::CONFIG_MAPS, "t", map("b", json!([]))).await;
    cluster.create(&Resource::CONFIG_MAPS, "t", map("b-child", owned_by(&owner, false))).await;
    delete(&cluster, "b", Propagation::Orphan).await;
    cluster.until("the owner gone", async |c| !exists(c, "b").await).await;
    let child = cluster.get(&Resource::CONFIG_MAPS, "t", "b-child").await.unwrap();
    assert_eq!(child["metadata"]["ownerReferences"], Value::Null);

    let owner = cluster.create(&Resource::CONFIG_MAPS, "t", map("c", json!([]))).await;
    let mut held = map("c-child", owned_by(&owner, true));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    cluster.create(&Resource::CONFIG_MAPS, "t", held).await;
    // The graph has to know of the dependent before its owner is deleted.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    delete(&cluster, "c", Propagation::Foreground).await;
    cluster
        .until("the dependent on its way", async |c| {
            let child = c.get(&Resource::CONFIG_MAPS, "t", "c-child").await.unwrap();
            !child["metadata"]["deletionTimestamp"].is_null()
        })
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(exists(&cluster, "c").await, "it waits for its dependent");
    let free = json!({"metadata": {"finalizers": null}});
    let _: Value = cluster.admin.merge_patch(&Resource::CONFIG_MAPS, "t", "c-child", &free).await.unwrap();
    cluster.until("both gone", async |c| !exists(c, "c").await && !exists(c, "c-child").await).await;

    let ghost = json!({"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}});
    cluster.create(&Resource::CONFIG_MAPS, "t", map("d", owned_by(&ghost, false))).await;
    cluster.until("an object of a ghost gone", async |c| !exists(c, "d").await).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_of_owners_goes_as_a_whole() {
    let cluster = Cluster::start(0).await;
    let a = cluster.create(&Resource::CONFIG_MAPS, "t", map("a", json!([]))).await;
    let b = cluster.create(&Resource::CONFIG_MAPS, "t", map("b", owned_by(&a, true))).await;
    let c = cluster.create(&Resource::CONFIG_MAPS, "t", map("c", owned_by(&b, true))).await;
    let closing = json!({"metadata": {"ownerReferences": owned_by(&c, true)}});
    let _: Value = cluster.admin.merge_patch(&Resource::CONFIG_MAPS, "t", "a", &closing).await.unwrap();
    // The graph has to know the circle before it is deleted.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    delete(&cluster, "a", Propagation::Foreground).await;
    let gone = async |c: &Cluster| !exists(c, "a").await && !exists(c, "b").await && !exists(c, "c").await;
    cluster.until("all three gone", gone).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_have_what_they_need_and_go_with_all_they_have() {
    let cluster = Cluster::start(1).await;
    cluster.create(&Resource::NAMESPACES, "", json!({"metadata": {"name": "doomed"}})).await;
    let furnished = async |c: &Cluster| {
        c.get(&Resource::SERVICE_ACCOUNTS, "doomed", "default").await.is_some()
            && c.get(&Resource::CONFIG_MAPS, "doomed", "kube-root-ca.crt").await.is_some()
    };
    let took = cluster.until("account and certificate", furnished).await;
    println!("namespace -> service account and CA {took:?}");
    cluster
        .admin
        .delete(&Resource::SERVICE_ACCOUNTS, "doomed", "default", &DeleteParams::default())
        .await
        .unwrap();
    cluster
        .admin
        .delete(&Resource::CONFIG_MAPS, "doomed", "kube-root-ca.crt", &DeleteParams::default())
        .await
        .unwrap();
    cluster.until("both again", furnished).await;

    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    cluster.create(&Resource::PODS, "doomed", pod).await;
    let mut held = map("held", json!([]));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    cluster.create(&Resource::CONFIG_MAPS, "doomed", held).await;
    cluster.create(&Resource::CONFIG_MAPS, "doomed", map("next", json!([]))).await;
    cluster.admin.delete(&Resource::NAMESPACES, "", "doomed", &DeleteParams::default()).await.unwrap();
    // As `kubectl delete -f` does of a folder whose first object is the namespace.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    cluster.admin.delete(&Resource::CONFIG_MAPS, "doomed", "next", &DeleteParams::default()).await.unwrap();
    cluster
        .until("it says what it waits for", async |c| {
            let Some(namespace) = c.get(&Resource::NAMESPACES, "", "doomed").await else { return false };
            namespace["status"]["conditions"].to_string().contains("example.com/hold in 1 resource instances")
        })
        .await;
    assert!(cluster.list(&Resource::PODS, "doomed").await.is_empty());
    let free = json!({"metadata": {"finalizers": null}});
    let _: Value = cluster.admin.merge_patch(&Resource::CONFIG_MAPS, "doomed", "held", &free).await.unwrap();
    let took =
        cluster.until("gone", async |c| c.get(&Resource::NAMESPACES, "", "doomed").await.is_none()).await;
    println!("the last object -> no namespace {took:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_pods_are_kept_up_to_a_number() {
    let cluster = Cluster::start_with(0, |config| {
        config.terminated_pods_max = 2;
        config.terminated_pods_period = std::time::Duration::from_secs(1);
    })
    .await;
    for (name, phase) in [("a", "Pending"), ("b", "Failed"), ("c", "Succeeded"), ("d", "Failed")] {
        let pod = json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
        cluster.create(&Resource::PODS, "t", pod).await;
        let patch = json!({"status": {"phase": phase}});
        let _: Value = cluster.admin.patch_status(&Resource::PODS, "t", name, &patch).await.unwrap();
    }
    let left = async |c: &Cluster| -> Vec<Value> {
        let pods = c.list(&Resource::PODS, "t").await;
        pods.iter().map(|pod| pod["metadata"]["name"].clone()).collect()
    };
    cluster.until("the surplus gone", async |c| left(c).await == ["a", "c", "d"]).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(left(&cluster).await, ["a", "c", "d"], "no more than that");
    cluster.stop().await;
}
