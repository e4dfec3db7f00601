//! The sample app as other scenarios use it: deployed, asked, its backends counted.

use crate::harness::{Kubectl, TestCluster, eventually, http_get};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long anything here may take.
pub const MINUTE: Duration = Duration::from_secs(60);

/// A pod with a shell in the namespace `sample`, which also names a service.
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

/// The folder of the sample app; kubectl takes the manifests that lie in it, and no folder below it.
pub fn examples() -> String {
    xtask::repo::root().join("examples/").display().to_string()
}

/// Applies `examples/` and waits until both Deployments are rolled out.
pub fn deploy(kubectl: &Kubectl) {
    kubectl.run(&["apply", "-f", &examples()]);
    for deployment in ["deployment/backend", "deployment/frontend"] {
        kubectl.run(&["-n", "sample", "rollout", "status", deployment, "--timeout=90s"]);
    }
}

/// Asserts that the backends are on so many different nodes.
pub fn assert_on_nodes(kubectl: &Kubectl, wanted: usize) {
    let path = "-o=jsonpath={.items[*].spec.nodeName}";
    let nodes = kubectl.run(&["-n", "sample", "get", "pods", "-l", "app=backend", path]);
    let used: BTreeSet<_> = nodes.split_whitespace().collect();
    assert_eq!(used.len(), wanted, "the backends are spread over the nodes: {nodes}");
}

/// Starts the pod `shell` beside the app.
pub fn start_shell(kubectl: &Kubectl) {
    kubectl.apply(SHELL);
    kubectl.run(&["-n", "sample", "wait", "--for=condition=Ready", "pod/shell", "--timeout=60s"]);
}

/// Runs a line in the pod `shell`; stdout, or what went wrong.
pub fn in_shell(kubectl: &Kubectl, line: &str) -> Result<String, String> {
    kubectl.ask(&["-n", "sample", "exec", "shell", "--", "sh", "-c", line])
}

/// The page at the NodePort of node `index`, once every one of its questions was answered.
pub fn page(cluster: &TestCluster, index: usize) -> String {
    let url = format!("http://{}:30080/", cluster.names.node_ip(index));
    eventually("the page", MINUTE, || {
        let page = http_get(cluster, "client", &url)?;
        if page.contains("no answer") { Err(page) } else { Ok(page) }
    })
}

/// The backend pods that a page names.
pub fn backends(page: &str) -> BTreeSet<String> {
    page.split("&quot;pod&quot;:&quot;")
        .skip(1)
        .filter_map(|rest| rest.split("&quot;").next())
        .map(str::to_owned)
        .collect()
}

/// Every backend answers in the end: connections are spread over all endpoints.
pub fn assert_spread(cluster: &TestCluster, node: usize, wanted: usize) {
    let mut seen = BTreeSet::new();
    eventually("every backend to answer", MINUTE, || {
        let page = page(cluster, node);
        seen.extend(backends(&page));
        if seen.len() >= wanted { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}
