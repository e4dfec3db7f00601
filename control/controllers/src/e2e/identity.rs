//! Nodes: their certificates, ranges and taints. Controllers: who they are.

use super::{Cluster, client, user};
use crate::{ControllerConfig, Controllers};
use keelson_apiserver::auth::rbac::CONTROLLERS;
use keelson_client::Resource;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

fn request(groups: &str, name: &str, hosts: &[&str]) -> Vec<u8> {
    let hosts: Vec<String> = hosts.iter().map(|h| h.to_string()).collect();
    let mut params = rcgen::CertificateParams::new(hosts).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, groups);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap().into_bytes()
}

fn csr(name: &str, signer: &str, usage: &str, pem: Vec<u8>) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"signerName": format!("kubernetes.io/{signer}"), "usages": ["digital signature", usage],
                 "expirationSeconds": 3600, "request": keelson_client::views::ByteString(pem)},
    })
}

async fn signed(cluster: &Cluster, name: &str) -> bool {
    let csr = cluster.get(&Resource::CERTIFICATE_SIGNING_REQUESTS, "", name).await.unwrap();
    csr["status"]["certificate"].is_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins() {
    let cluster = Cluster::start(2).await;
    let requests = &Resource::CERTIFICATE_SIGNING_REQUESTS;
    let bootstrapper = client(
        &cluster.router,
        user("system:bootstrap:abcdef", &["system:bootstrappers", "system:bootstrappers:keelson"]),
    );
    let pem = request("system:nodes", "system:node:n9", &[]);
    let body = csr("join", "kube-apiserver-client-kubelet", "client auth", pem);
    bootstrapper.create::<Value>(requests, "", &body).await.unwrap();
    let took = cluster.until("a client certificate", async |c| signed(c, "join").await).await;
    println!("request -> certificate {took:?}");

    let node = client(&cluster.router, user("system:node:n1", &["system:nodes"]));
    let pem = request("system:nodes", "system:node:n1", &["n1", "192.0.2.10"]);
    node.create::<Value>(requests, "", &csr("serve", "kubelet-serving", "server auth", pem)).await.unwrap();
    cluster.until("a serving certificate", async |c| signed(c, "serve").await).await;

    let pem = request("system:nodes", "system:node:n1", &["n1", "192.0.2.99"]);
    node.create::<Value>(requests, "", &csr("foreign", "kubelet-serving", "server auth", pem)).await.unwrap();
    cluster
        .until("ranges", async |c| {
            let nodes = c.list(&Resource::NODES, "").await;
            let mut ranges: Vec<String> = nodes.iter().map(|n| n["spec"]["podCIDR"].to_string()).collect();
            ranges.sort();
            ranges == ["\"10.244.0.0/24\"", "\"10.244.1.0/24\""]
        })
        .await;
    assert!(!signed(&cluster, "foreign").await, "another's address");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_ready_loses_its_pods() {
    let cluster = Cluster::start(1).await;
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "containers": [{"name": "c", "image": "x"}],
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]}});
    cluster.create(&Resource::PODS, "t", pod).await;
    cluster
        .until("running", async |c| {
            c.get(&Resource::PODS, "t", "p").await.unwrap()["status"]["phase"] == "Running"
        })
        .await;
    let condition = json!({"type": "Ready", "status": "False", "reason": "KubeletNotReady"});
    let patch = json!({"status": {"conditions": [condition]}});
    let _: Value = cluster.admin.patch_status(&Resource::NODES, "", "n0", &patch).await.unwrap();
    let took = cluster
        .until("taints", async |c| {
            let node = c.get(&Resource::NODES, "", "n0").await.unwrap();
            node["spec"]["taints"].as_array().is_some_and(|t| t.len() == 2)
        })
        .await;
    println!("not ready -> taints {took:?}");
    cluster.until("evicted", async |c| c.get(&Resource::PODS, "t", "p").await.is_none()).await;
    let condition = json!({"type": "Ready", "status": "True", "reason": "KubeletReady"});
    let patch = json!({"status": {"conditions": [condition]}});
    let _: Value = cluster.admin.patch_status(&Resource::NODES, "", "n0", &patch).await.unwrap();
    cluster
        .until("no taints", async |c| {
            let node = c.get(&Resource::NODES, "", "n0").await.unwrap();
            node["spec"]["taints"].as_array().is_none_or(Vec::is_empty)
        })
        .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_which_nothing_is_heard_is_lost_with_its_pods() {
    let mut cluster = Cluster::start_with(2, |config| config.node_grace = Duration::from_secs(3)).await;
    // One node goes on beating; of the other one nothing is heard any more.
    let alive = client(&cluster.router, user("system:node:n0", &["system:nodes"]));
    let lease =
        json!({"metadata": {"name": "n0"}, "spec": {"holderIdentity": "n0", "leaseDurationSeconds": 40}});
    alive.create::<Value>(&Resource::LEASES, "kube-node-lease", &lease).await.unwrap();
    let beat = tokio::spawn(async move {
        loop {
            let now = format!("{:.6}", jiff::Timestamp::now());
            let patch = json!({"spec": {"renewTime": now}});
            let _ = alive.merge_patch::<Value>(&Resource::LEASES, "kube-node-lease", "n0", &patch).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "containers": [{"name": "c", "image": "x"}], "nodeSelector": {"kubernetes.io/hostname": "n1"}}});
    cluster.create(&Resource::PODS, "t", pod).await;
    let ready = async |c: &Cluster| {
        let pod = c.get(&Resource::PODS, "t", "p").await.unwrap();
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    cluster.until("a ready pod", ready).await;
    cluster.agents.remove(1);
    cluster.until("the pod not ready", async |c| !ready(c).await).await;
    let node = cluster.get(&Resource::NODES, "", "n1").await.unwrap();
    assert!(node["status"]["conditions"].to_string().contains("Kubelet stopped posting node status."));
    cluster
        .until("taints", async |c| {
            let taints = c.get(&Resource::NODES, "", "n1").await.unwrap()["spec"]["taints"].to_string();
            taints.contains("node.kubernetes.io/unreachable") && taints.contains("NoExecute")
        })
        .await;
    let other = cluster.get(&Resource::NODES, "", "n0").await.unwrap();
    assert!(other["spec"]["taints"].as_array().is_none_or(Vec::is_empty), "{}", other["spec"]);
    beat.abort();
    cluster.stop().await;
}

/// Each identity has its rights tried where the roles are; one that is not known there would have none tried.
#[tokio::test]
async fn every_controller_is_one_whose_rights_are_tried() {
    let (sender, names) = mpsc::channel();
    let config = ControllerConfig::new("", "10.244.0.0/16", 1).unwrap();
    let controllers = Controllers::start(config, move |name| {
        sender.send(name.to_owned()).unwrap();
        client(&axum::Router::new(), user(name, &[]))
    });
    tokio::task::yield_now().await;
    controllers.shutdown().await;
    let started: BTreeSet<String> = names.iter().collect();
    let wanted: BTreeSet<String> = CONTROLLERS
        .into_iter()
        // It runs with the server, which makes the roles.
        .filter(|name| *name != "clusterrole-aggregation-controller")
        .chain(["kube-controller-manager"])
        .map(str::to_owned)
        .collect();
    assert_eq!(started, wanted);
}
