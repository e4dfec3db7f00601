//! The sample app, as the README's tour has it: applied, rolled, scaled, looked into, and reached from outside.

use super::app::{MINUTE, assert_on_nodes, assert_spread, deploy, examples, page, start_shell};
use crate::harness::{Kubectl, TestCluster, eventually, http_get, pods_things};

/// What one does with an app, by one version of kubectl.
fn tour(cluster: &TestCluster, minor: u32) {
    let kubectl = cluster.kubectl(minor);
    deploy(&kubectl);
    for node in 1..=cluster.spec.nodes {
        assert_spread(cluster, node, 3);
    }
    kubectl.run(&["-n", "sample", "get", "all", "-o", "wide"]);
    kubectl.run(&["-n", "sample", "scale", "deployment/backend", "--replicas=4"]);
    kubectl.run(&["-n", "sample", "rollout", "status", "deployment/backend", "--timeout=60s"]);
    assert_spread(cluster, 1, 4);
    roll_and_undo(cluster, &kubectl);
    let described = kubectl.run(&["-n", "sample", "describe", "deployment/backend"]);
    assert!(described.contains("NewReplicaSet"), "{described}");
    let events = kubectl.run(&["-n", "sample", "get", "events"]);
    assert!(events.contains("ScalingReplicaSet"), "{events}");
    logs(&kubectl);
    exec(&kubectl);
    delete(cluster, &kubectl);
}

/// Away by the same folder: when kubectl returns there is nothing of the app, nor of the pod beside it.
fn delete(cluster: &TestCluster, kubectl: &Kubectl) {
    let deleted = kubectl.run(&["delete", "-f", &examples(), "--timeout=90s"]);
    for object in ["namespace \"sample\"", "deployment.apps \"backend\"", "service \"frontend\""] {
        assert!(deleted.contains(&format!("{object} deleted")), "{object}: {deleted}");
    }
    let gone = kubectl.try_run(&["get", "namespace", "sample"]);
    assert!(gone.stderr.contains("not found"), "{gone:?}");
    let all = "pods,services,endpointslices,deployments,replicasets,configmaps,secrets";
    let left = kubectl.run(&["-n", "sample", "get", all, "-o", "name"]);
    assert_eq!(left, "", "objects of a namespace that is gone");
    for node in 1..=cluster.spec.nodes {
        eventually("no pod to have left anything", MINUTE, || {
            let left = pods_things(cluster, node);
            if left.is_empty() { Ok(()) } else { Err(format!("on node {node}: {left:?}")) }
        });
        let page = format!("http://{}:30080/", cluster.names.node_ip(node));
        eventually("the NodePort to be closed", MINUTE, || match http_get(cluster, "client", &page) {
            Err(error) if error.contains("refused") => Ok(()),
            other => Err(format!("on node {node}: {other:?}")),
        });
    }
}

fn roll_and_undo(cluster: &TestCluster, kubectl: &Kubectl) {
    let status = || {
        kubectl.run(&["-n", "sample", "rollout", "status", "deployment/backend", "--timeout=60s"]);
    };
    kubectl.run(&["-n", "sample", "set", "image", "deployment/backend", "web=keelson.dev/webserver:2"]);
    status();
    // Both ways whole: once rolled out, no backend of the other version may answer.
    answers_only(cluster, "2");
    kubectl.run(&["-n", "sample", "rollout", "undo", "deployment/backend"]);
    status();
    answers_only(cluster, "1");
}

/// Waits until every backend that a page names is of this version of the image.
fn answers_only(cluster: &TestCluster, version: &str) {
    let asked = |version: &str| format!("&quot;version&quot;:&quot;{version}&quot;");
    let other = if version == "1" { "2" } else { "1" };
    eventually("backends of one version", MINUTE, || {
        let page = page(cluster, 1);
        if page.contains(&asked(version)) && !page.contains(&asked(other)) { Ok(()) } else { Err(page) }
    });
}

fn logs(kubectl: &Kubectl) {
    let logs = kubectl.run(&["-n", "sample", "logs", "deployment/frontend"]);
    assert!(logs.contains("listens on"), "{logs}");
    let tail = kubectl.run(&["-n", "sample", "logs", "deployment/frontend", "--tail=1"]);
    assert_eq!(tail.lines().count(), 1, "{tail}");
}

fn exec(kubectl: &Kubectl) {
    start_shell(kubectl);
    let exec = |args: &[&str], input: &str| {
        let all = [&["-n", "sample", "exec", "-i", "shell", "--"], args].concat();
        kubectl.with_input(&all, input)
    };
    let echoed = exec(&["cat"], "through\nand back\n");
    assert_eq!((echoed.stdout.as_str(), echoed.code), ("through\nand back\n", 0), "stdin ends: {echoed:?}");
    assert_eq!(exec(&["sh", "-c", "exit 7"], "").code, 7, "the exit code comes back");
    let error = exec(&["sh", "-c", "echo no >&2"], "");
    assert_eq!((error.stdout.as_str(), error.stderr.as_str()), ("", "no\n"), "two streams stay two");
    let looked_up = exec(&["nslookup", "backend.sample.svc.cluster.local."], "");
    assert_eq!(looked_up.code, 0, "{looked_up:?}");
    let answered = exec(&["wget", "-q", "-O", "-", "http://backend/"], "");
    assert!(answered.stdout.contains("\"pod\":\"backend-"), "by short name: {answered:?}");
}

#[test]
fn one_node_with_two_kubectls() {
    let cluster = TestCluster::up("sample1", 1, "auto");
    tour(&cluster, 30);
    tour(&cluster, 33);
    cluster.finish();
}

#[test]
fn three_nodes() {
    let cluster = TestCluster::up("sample3", 3, "auto");
    let kubectl = cluster.kubectl(33);
    deploy(&kubectl);
    assert_on_nodes(&kubectl, 3);
    for node in 1..=3 {
        assert_spread(&cluster, node, 3);
    }
    kubectl.run(&["delete", "namespace", "sample", "--timeout=90s"]);
    tour(&cluster, 30);
    cluster.finish();
}

#[test]
fn iptables() {
    let cluster = TestCluster::up("iptables", 2, "iptables");
    tour(&cluster, 33);
    cluster.finish();
}
