//! It is a kubelet: what users expect of pods, on real containers.

mod lifecycle;
mod logs;
mod probes;
mod resources;
mod terminal;
mod tunnels;
mod volumes;

use super::app::MINUTE;
use crate::harness::{Kubectl, TestCluster, eventually};
use std::time::{Duration, Instant};

fn field(kubectl: &Kubectl, object: &str, path: &str) -> Result<String, String> {
    kubectl.ask(&["get", object, &format!("-o=jsonpath={{{path}}}")])
}

/// Waits until `path` of `object` is `wanted`; how long that took.
fn expect(kubectl: &Kubectl, object: &str, path: &str, wanted: &str, limit: Duration) -> Duration {
    let start = Instant::now();
    eventually(&format!("{object} {path} = {wanted}"), limit, || {
        let found = field(kubectl, object, path)?;
        if found == wanted { Ok(()) } else { Err(format!("it is {found:?}")) }
    });
    start.elapsed()
}

fn ready(kubectl: &Kubectl, pod: &str) {
    kubectl.run(&["wait", "--for=condition=Ready", &format!("pod/{pod}"), "--timeout=60s"]);
}

/// A rule's name and its check.
type Rule = (&'static str, fn(&TestCluster));

const RULES: [Rule; 16] = [
    ("variables come from where they should", volumes::environment),
    ("an edited ConfigMap reaches a running pod", volumes::config_map),
    ("secrets, tokens, labels, empty and host folders are mounted and kept fresh", volumes::every_kind),
    ("a failing readiness probe leaves the endpoints", probes::readiness),
    ("a failing liveness probe restarts the container", probes::liveness),
    ("init containers run in order", lifecycle::init),
    ("a pod that ignores SIGTERM is killed after its grace period", lifecycle::grace),
    ("resources are cgroup limits", resources::limits),
    ("who takes too much memory is ended", resources::out_of_memory),
    ("logs are followed", logs::follow),
    ("input reaches a command and ends", terminal::streams),
    ("a terminal is a terminal", terminal::interactive),
    ("what is attached to hears and is heard", tunnels::attach),
    ("a pod's port is reached from far away", tunnels::port_forward),
    ("a pod ends at its deadline", lifecycle::deadline),
    ("many pods at once", many),
];

/// One cluster, one rule after the other: a cluster per rule would cost more than the rules. Only the back-off,
/// which mostly waits, runs beside them. A rule that is broken does not hide the others.
#[test]
fn pods_behave() {
    let cluster = TestCluster::up_alone("kubelet", 1, "auto");
    let mut broken = Vec::new();
    std::thread::scope(|scope| {
        let back_off = scope.spawn(|| lifecycle::back_off(&cluster));
        let (last, rules) = RULES.split_last().unwrap();
        broken.extend(rules.iter().filter(|rule| !holds(&cluster, rule)).map(|(name, _)| *name));
        if back_off.join().is_err() {
            broken.push("a crashing container backs off");
        }
        // The node has room for exactly these.
        if broken.is_empty() && !holds(&cluster, last) {
            broken.push(last.0);
        }
    });
    assert!(broken.is_empty(), "broken: {broken:#?}");
    cluster.finish();
}

fn holds(cluster: &TestCluster, (name, check): &Rule) -> bool {
    let start = Instant::now();
    let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(cluster))).is_ok();
    eprintln!("{:5.1} s  {name}{}", start.elapsed().as_secs_f64(), if held { "" } else { ": BROKEN" });
    held
}

/// As many as a node may have.
const MANY: usize = 110;

fn many(cluster: &TestCluster) {
    let kubectl = cluster.kubectl(33);
    let start = Instant::now();
    kubectl.apply(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: many }
spec:
  replicas: 110
  selector: { matchLabels: { app: many } }
  template:
    metadata: { labels: { app: many } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: c
          image: keelson.dev/busybox:1
          command: [sleep, "3600"]
"#,
    );
    kubectl.run(&["rollout", "status", "deployment/many", "--timeout=180s"]);
    let took = start.elapsed().as_secs_f64();
    let ready = field(&kubectl, "deployment/many", ".status.readyReplicas");
    assert_eq!(ready, Ok(MANY.to_string()));
    let addresses = kubectl.run(&["get", "pods", "-l", "app=many", "-o=jsonpath={.items[*].status.podIP}"]);
    let different: std::collections::BTreeSet<_> = addresses.split_whitespace().collect();
    assert_eq!(different.len(), MANY, "each has an address of its own");
    eprintln!("{MANY} pods were Ready after {took:.1} s");
    kubectl.run(&["delete", "deployment/many", "--timeout=60s"]);
    eventually("the pods to go", Duration::from_secs(120), || {
        let pods = kubectl.ask(&["get", "pods", "-l", "app=many", "-o", "name"])?;
        if pods.is_empty() { Ok(()) } else { Err(format!("{} left", pods.lines().count())) }
    });
}
