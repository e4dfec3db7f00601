//! Probes: who is not ready gets no traffic, who is not alive is started again.

use super::{MINUTE, expect, ready};
use crate::harness::{TestCluster, eventually};
use std::time::{Duration, Instant};

pub(super) fn readiness(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(33);
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
    ready(kubectl, "fragile");
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

/// By exec, HTTP and TCP: the page is there, the port is open, and the file is gone in the end.
pub(super) fn liveness(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(33);
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: { name: mortal }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sh, -c, "mkdir -p /tmp/www; echo yes > /tmp/www/page; touch /tmp/ok; exec httpd -f -p 8080 -h /tmp/www"]
      readinessProbe:
        httpGet: { path: /page, port: 8080 }
        periodSeconds: 1
        failureThreshold: 1
      livenessProbe:
        exec: { command: [cat, /tmp/ok] }
        periodSeconds: 1
        failureThreshold: 2
    - name: other
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
      readinessProbe:
        tcpSocket: { port: 8080 }
        periodSeconds: 1
      livenessProbe:
        tcpSocket: { port: 8080 }
        periodSeconds: 1
        failureThreshold: 10
"#,
    );
    ready(kubectl, "mortal");
    let is_ready = ".status.conditions[?(@.type==\"Ready\")].status";
    kubectl.run(&["exec", "mortal", "-c", "c", "--", "mv", "/tmp/www/page", "/tmp/www/away"]);
    expect(kubectl, "pod/mortal", is_ready, "False", MINUTE);
    kubectl.run(&["exec", "mortal", "-c", "c", "--", "mv", "/tmp/www/away", "/tmp/www/page"]);
    expect(kubectl, "pod/mortal", is_ready, "True", MINUTE);
    kubectl.run(&["exec", "mortal", "-c", "c", "--", "rm", "/tmp/ok"]);
    let restarts = ".status.containerStatuses[?(@.name==\"c\")].restartCount";
    expect(kubectl, "pod/mortal", restarts, "1", MINUTE);
    expect(kubectl, "pod/mortal", is_ready, "True", MINUTE);
    let others = ".status.containerStatuses[?(@.name==\"other\")].restartCount";
    expect(kubectl, "pod/mortal", others, "0", MINUTE);
    eventually("the events", MINUTE, || {
        let events = kubectl.ask(&["events", "--for", "pod/mortal"])?;
        let told =
            ["Liveness probe failed", "Readiness probe failed: HTTP probe failed with statuscode: 404"];
        let told = told.into_iter().chain(["Container c failed liveness probe, will be restarted"]);
        told.into_iter()
            .find(|t| !events.contains(t))
            .map_or(Ok(()), |t| Err(format!("{t:?} not in {events}")))
    });
    kubectl.run(&["delete", "pod/mortal", "--timeout=30s"]);
}
