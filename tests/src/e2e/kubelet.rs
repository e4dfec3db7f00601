//! It is a kubelet: what users expect of pods, on real containers.

use super::app::MINUTE;
use crate::harness::{Kubectl, TestCluster, eventually};
use std::time::{Duration, Instant};

fn field(kubectl: &Kubectl, object: &str, path: &str) -> Result<String, String> {
    kubectl.ask(&["get", object, &format!("-o=jsonpath={{{path}}}")])
}

fn expect(kubectl: &Kubectl, object: &str, path: &str, wanted: &str, limit: Duration) -> Duration {
    let start = Instant::now();
    eventually(&format!("{object} {path} = {wanted}"), limit, || {
        let found = field(kubectl, object, path)?;
        if found == wanted { Ok(()) } else { Err(format!("it is {found:?}")) }
    });
    start.elapsed()
}

/// One cluster, one rule after the other: a cluster per rule would cost more than the rules.
#[test]
fn pods_behave() {
    let cluster = TestCluster::up("kubelet", 1, "auto");
    let kubectl = cluster.kubectl(33);
    let rules: [(&str, fn(&Kubectl)); 6] = [
        ("an edited ConfigMap reaches a running pod", config_map),
        ("a failing readiness probe leaves the endpoints", readiness),
        ("a crashing container backs off", back_off),
        ("init containers run in order", init),
        ("a pod that ignores SIGTERM is killed after its grace period", grace),
        ("many pods at once", many),
    ];
    for (rule, check) in rules {
        eprintln!("{rule}");
        check(&kubectl);
    }
    cluster.finish();
}

fn config_map(kubectl: &Kubectl) {
    kubectl.apply(
        r#"
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { colour: red }
---
apiVersion: v1
kind: Pod
metadata: { name: reader }
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{ name: settings, configMap: { name: settings } }]
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
      volumeMounts: [{ name: settings, mountPath: /settings }]
"#,
    );
    kubectl.run(&["wait", "--for=condition=Ready", "pod/reader", "--timeout=60s"]);
    let read = || kubectl.ask(&["exec", "reader", "--", "cat", "/settings/colour"]);
    assert_eq!(read().unwrap(), "red");
    kubectl.run(&["patch", "configmap", "settings", "-p", r#"{"data":{"colour":"blue"}}"#]);
    eventually("the new value", MINUTE, || {
        let found = read()?;
        if found == "blue" { Ok(()) } else { Err(found) }
    });
    kubectl.run(&["delete", "pod/reader", "configmap/settings", "--timeout=30s"]);
}

fn readiness(kubectl: &Kubectl) {
    kubectl.apply(
        r#"
apiVersion: v1
kind: Service
metadata: { name: fragile }
spec:
  clusterIP: None
  selector: { app: fragile }
  ports: [{ port: 80 }]
---
apiVersion: v1
kind: Pod
metadata: { name: fragile, labels: { app: fragile } }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sh, -c, "touch /tmp/ok; sleep 3600"]
      readinessProbe:
        exec: { command: [cat, /tmp/ok] }
        periodSeconds: 1
        failureThreshold: 1
"#,
    );
    kubectl.run(&["wait", "--for=condition=Ready", "pod/fragile", "--timeout=60s"]);
    let resolve =
        || kubectl.try_run(&["exec", "fragile", "--", "nslookup", "fragile.default.svc.cluster.local"]);
    eventually("the name", MINUTE, || if resolve().code == 0 { Ok(()) } else { Err(resolve().stdout) });
    kubectl.run(&["exec", "fragile", "--", "rm", "/tmp/ok"]);
    let start = Instant::now();
    eventually("no name", MINUTE, || {
        let output = resolve();
        if output.stdout.contains("NXDOMAIN") { Ok(()) } else { Err(output.stdout) }
    });
    // The probe's period, the change, and what kubectl and nslookup take.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    let slices = kubectl.run(&[
        "get",
        "endpointslices",
        "-l",
        "kubernetes.io/service-name=fragile",
        "-o=jsonpath={.items[*].endpoints[*].conditions.ready}",
    ]);
    assert_eq!(slices.trim(), "false");
    kubectl.run(&["delete", "pod/fragile", "service/fragile", "--timeout=30s"]);
}

fn back_off(kubectl: &Kubectl) {
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: { name: crasher }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sh, -c, "echo run; exit 3"]
"#,
    );
    let restarts = ".status.containerStatuses[0].restartCount";
    expect(kubectl, "pod/crasher", restarts, "1", Duration::from_secs(30));
    let pause = expect(kubectl, "pod/crasher", restarts, "2", Duration::from_secs(60));
    assert!((8..16).contains(&pause.as_secs()), "the second pause is 10 s: {pause:?}");
    let reason = field(kubectl, "pod/crasher", ".status.containerStatuses[0].state.waiting.reason");
    let code = field(kubectl, "pod/crasher", ".status.containerStatuses[0].lastState.terminated.exitCode");
    assert_eq!(code.unwrap(), "3");
    eventually("the reason", MINUTE, || {
        let reason = field(kubectl, "pod/crasher", ".status.containerStatuses[0].state.waiting.reason")?;
        if reason == "CrashLoopBackOff" { Ok(()) } else { Err(reason) }
    });
    drop(reason);
    let previous = kubectl.run(&["logs", "crasher", "--previous"]);
    assert_eq!(previous, "run\n");
    kubectl.run(&["delete", "pod/crasher", "--timeout=30s"]);
}

fn init(kubectl: &Kubectl) {
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: { name: ordered }
spec:
  restartPolicy: Never
  volumes: [{ name: shared, emptyDir: {} }]
  initContainers:
    - name: first
      image: keelson.dev/busybox:1
      command: [sh, -c, "echo 1 >> /shared/order"]
      volumeMounts: [{ name: shared, mountPath: /shared }]
    - name: second
      image: keelson.dev/busybox:1
      command: [sh, -c, "echo 2 >> /shared/order"]
      volumeMounts: [{ name: shared, mountPath: /shared }]
  containers:
    - name: last
      image: keelson.dev/busybox:1
      command: [cat, /shared/order]
      volumeMounts: [{ name: shared, mountPath: /shared }]
"#,
    );
    expect(kubectl, "pod/ordered", ".status.phase", "Succeeded", MINUTE);
    assert_eq!(kubectl.run(&["logs", "ordered"]), "1\n2\n");
    kubectl.run(&["delete", "pod/ordered", "--timeout=30s"]);
}

fn grace(kubectl: &Kubectl) {
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: { name: stubborn }
spec:
  terminationGracePeriodSeconds: 3
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sh, -c, "trap 'echo asked' TERM; while true; do sleep 1; done"]
"#,
    );
    kubectl.run(&["wait", "--for=condition=Ready", "pod/stubborn", "--timeout=60s"]);
    let start = Instant::now();
    kubectl.run(&["delete", "pod/stubborn", "--timeout=30s"]);
    let took = start.elapsed().as_secs_f64();
    assert!((2.5..8.0).contains(&took), "SIGTERM, three seconds, SIGKILL: {took:.1} s");
}

fn many(kubectl: &Kubectl) {
    kubectl.apply(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: many }
spec:
  replicas: 60
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
    kubectl.run(&["delete", "deployment/many", "--timeout=60s"]);
    eventually("the pods to go", Duration::from_secs(120), || {
        let pods = kubectl.ask(&["get", "pods", "-l", "app=many", "-o", "name"])?;
        if pods.is_empty() { Ok(()) } else { Err(format!("{} left", pods.lines().count())) }
    });
}
