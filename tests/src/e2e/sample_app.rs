//! The sample app, as the README's tour has it: applied, rolled, scaled, looked into, and reached from outside.

use crate::harness::{Kubectl, TestCluster, eventually, http_get};
use std::collections::BTreeSet;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Applies `examples/` and waits until both Deployments are rolled out.
fn deploy(kubectl: &Kubectl) {
    let examples = xtask::repo::root().join("examples/app.yaml");
    kubectl.run(&["apply", "-f", &examples.display().to_string()]);
    for deployment in ["deployment/backend", "deployment/frontend"] {
        kubectl.run(&["-n", "sample", "rollout", "status", deployment, "--timeout=90s"]);
    }
}

/// The page at the NodePort of node `index`, once every one of its questions was answered.
fn page(cluster: &TestCluster, index: usize) -> String {
    let url = format!("http://{}:30080/", cluster.names.node_ip(index));
    eventually("the page", MINUTE, || {
        let page = http_get(cluster, "client", &url)?;
        if page.contains("no answer") { Err(page) } else { Ok(page) }
    })
}

/// The backend pods that a page names.
fn backends(page: &str) -> BTreeSet<String> {
    page.split("&quot;pod&quot;:&quot;")
        .skip(1)
        .filter_map(|rest| rest.split("&quot;").next())
        .map(str::to_owned)
        .collect()
}

/// Every backend answers in the end: connections are spread over all endpoints.
fn assert_spread(cluster: &TestCluster, node: usize, wanted: usize) {
    let mut seen = BTreeSet::new();
    eventually("every backend to answer", MINUTE, || {
        let page = page(cluster, node);
        seen.extend(backends(&page));
        if seen.len() >= wanted { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

/// What one does with an app, by one version of kubectl.
fn tour(cluster: &TestCluster, minor: u32) {
    let kubectl = cluster.kubectl(minor);
    deploy(&kubectl);
    assert_spread(cluster, 1, 3);
    kubectl.run(&["-n", "sample", "get", "all", "-o", "wide"]);
    kubectl.run(&["-n", "sample", "scale", "deployment/backend", "--replicas=4"]);
    kubectl.run(&["-n", "sample", "rollout", "status", "deployment/backend", "--timeout=60s"]);
    assert_spread(cluster, 1, 4);
    kubectl.run(&["-n", "sample", "set", "env", "deployment/backend", "GREETING=Changed"]);
    kubectl.run(&["-n", "sample", "rollout", "status", "deployment/backend", "--timeout=60s"]);
    eventually("the new backends", MINUTE, || {
        let page = page(cluster, 1);
        if page.contains("Changed") { Ok(()) } else { Err(page) }
    });
    kubectl.run(&["-n", "sample", "rollout", "undo", "deployment/backend"]);
    kubectl.run(&["-n", "sample", "rollout", "status", "deployment/backend", "--timeout=60s"]);
    eventually("the old backends", MINUTE, || {
        let page = page(cluster, 1);
        if page.contains("Changed") { Err(page) } else { Ok(()) }
    });
    let described = kubectl.run(&["-n", "sample", "describe", "deployment/backend"]);
    assert!(described.contains("NewReplicaSet"), "{described}");
    let events = kubectl.run(&["-n", "sample", "get", "events"]);
    assert!(events.contains("ScalingReplicaSet"), "{events}");
    logs_and_exec(&kubectl);
    kubectl.run(&["delete", "namespace", "sample", "--timeout=90s"]);
    let gone = kubectl.try_run(&["get", "namespace", "sample"]);
    assert!(gone.stderr.contains("not found"), "{gone:?}");
}

fn logs_and_exec(kubectl: &Kubectl) {
    let logs = kubectl.run(&["-n", "sample", "logs", "deployment/frontend"]);
    assert!(logs.contains("listens on"), "{logs}");
    kubectl.apply(SHELL);
    kubectl.run(&["-n", "sample", "wait", "--for=condition=Ready", "pod/shell", "--timeout=60s"]);
    let exec = |args: &[&str], input: &str| {
        let all = [&["-n", "sample", "exec", "-i", "shell", "--"], args].concat();
        kubectl.with_input(&all, input)
    };
    let echoed = exec(&["cat"], "through\nand back\n");
    assert_eq!((echoed.stdout.as_str(), echoed.code), ("through\nand back\n", 0), "stdin ends: {echoed:?}");
    assert_eq!(exec(&["sh", "-c", "exit 7"], "").code, 7, "the exit code comes back");
    let looked_up = exec(&["nslookup", "backend.sample.svc.cluster.local"], "");
    assert_eq!(looked_up.code, 0, "{looked_up:?}");
    let answered = exec(&["wget", "-q", "-O", "-", "http://backend/"], "");
    assert!(answered.stdout.contains("\"pod\":\"backend-"), "by short name: {answered:?}");
}

const SHELL: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: shell
  namespace: sample
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: shell
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
"#;

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
    let nodes = kubectl.run(&[
        "-n",
        "sample",
        "get",
        "pods",
        "-l",
        "app=backend",
        "-o",
        "jsonpath={.items[*].spec.nodeName}",
    ]);
    let used: BTreeSet<_> = nodes.split_whitespace().collect();
    assert_eq!(used.len(), 3, "the backends are spread over the nodes: {nodes}");
    for node in 1..=3 {
        assert_spread(&cluster, node, 3);
    }
    cluster.finish();
}

#[test]
fn iptables() {
    let cluster = TestCluster::up("iptables", 1, "iptables");
    tour(&cluster, 33);
    cluster.finish();
}
