//! Probes: who is not ready gets no traffic, who is not alive is started again.

use super::{MINUTE, expect, ready};
use crate::harness::{TestCluster, eventually, in_host};
use std::time::{Duration, Instant};

/// The probe's period: how late it may look.
const PROBED_EVERY: Duration = Duration::from_secs(1);
/// From the failure of the probe on.
const LEAVES_WITHIN: Duration = Duration::from_secs(2);

/// What the node's DNS server says of a name now: addresses, a line each.
fn resolve(cluster: &TestCluster, name: &str) -> String {
    let asked = ["+short", "+tries=1", "+time=2", "@10.96.0.10", name];
    in_host(cluster, "node1", "dig", &asked).expect("the DNS server answers")
}

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
    let address = || resolve(cluster, "fragile.default.svc.cluster.local");
    eventually(
        "the name",
        MINUTE,
        || {
            if address().is_empty() { Err("no address".to_owned()) } else { Ok(()) }
        },
    );
    let start = Instant::now();
    kubectl.run(&["exec", "fragile", "--", "rm", "/tmp/ok"]);
    let path = "-o=jsonpath={.items[*].endpoints[*].conditions.ready}";
    let slice = ["get", "endpointslices", "-l", "kubernetes.io/service-name=fragile", path];
    let (mut slice_after, mut dns_after) = (None, None);
    while (slice_after.is_none() || dns_after.is_none()) && start.elapsed() < LEAVES_WITHIN * 4 {
        if dns_after.is_none() && address().is_empty() {
            dns_after = Some(start.elapsed());
        }
        if slice_after.is_none() && kubectl.run(&slice) == "false" {
            slice_after = Some(start.elapsed());
        }
    }
    let after = [slice_after, dns_after];
    assert!(
        after.iter().all(|after| after.is_some_and(|after| after < PROBED_EVERY + LEAVES_WITHIN)),
        "the endpoint left slice and DNS after {after:?}"
    );
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
