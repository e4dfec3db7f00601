//! Traffic that goes on by itself: pods that talk to each other and note when an answer came, so that a test can see
//! afterwards what happened while nothing of the node could be asked.

use super::app::MINUTE;
use crate::harness::{Kubectl, eventually};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A busy machine may let a second's work wait this long, in seconds.
const PAUSE_MAX_S: u64 = 5;

/// What the pod `talker` does, each once a second: container and what it notes.
pub const WAYS: [(&str, &str); 3] = [
    ("held-service", "lines over one connection through a ClusterIP"),
    ("held-pod", "lines over one connection to a pod of another node"),
    ("fresh", "a new connection through a ClusterIP"),
];

const ECHO: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: echo
  namespace: sample
  labels: { app: echo }
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: Never
  nodeSelector: { kubernetes.io/hostname: ECHO_NODE }
  containers:
    - name: echo
      image: keelson.dev/busybox:1
      command: [nc, -ll, -p, "7000", -e, cat]
      readinessProbe: { tcpSocket: { port: 7000 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata:
  name: echo
  namespace: sample
spec:
  selector: { app: echo }
  ports:
    - port: 80
      targetPort: 7000
"#;

// Each container ends with its connection, and is not started again: it would be seen.
const TALKER: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: talker
  namespace: sample
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: Never
  nodeSelector: { kubernetes.io/hostname: node1 }
  containers:
    - name: held-service
      image: keelson.dev/busybox:1
      command: [sh, -c, "(while sleep 1; do date +%s; done) | nc SERVICE 80 > /tmp/stamps"]
    - name: held-pod
      image: keelson.dev/busybox:1
      command: [sh, -c, "(while sleep 1; do date +%s; done) | nc ADDRESS 7000 > /tmp/stamps"]
    - name: fresh
      image: keelson.dev/busybox:1
      command:
        - sh
        - -c
        - "while sleep 1; do timeout 2 wget -q -O /dev/null http://BACKEND/ && date +%s >> /tmp/stamps; done"
"#;

/// Seconds since 1970, as the pods' `date` counts them.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Starts both pods beside the sample app, `echo` on `echo_node` and `talker` on node1, and returns when all talk.
pub fn start(kubectl: &Kubectl, echo_node: &str) {
    kubectl.apply(&ECHO.replace("ECHO_NODE", echo_node));
    kubectl.run(&["-n", "sample", "wait", "--for=condition=Ready", "pod/echo", "--timeout=60s"]);
    let ask =
        |what: &str, path: &str| kubectl.run(&["-n", "sample", "get", what, &format!("-o=jsonpath={path}")]);
    let talker = TALKER
        .replace("SERVICE", &ask("service/echo", "{.spec.clusterIP}"))
        .replace("BACKEND", &ask("service/backend", "{.spec.clusterIP}"))
        .replace("ADDRESS", &ask("pod/echo", "{.status.podIP}"));
    kubectl.apply(&talker);
    kubectl.run(&["-n", "sample", "wait", "--for=condition=Ready", "pod/talker", "--timeout=60s"]);
    goes_on(kubectl);
}

/// When answers came, by container.
fn stamps(kubectl: &Kubectl) -> Result<BTreeMap<&'static str, Vec<u64>>, String> {
    let read = |container| {
        let text =
            kubectl.ask(&["-n", "sample", "exec", "talker", "-c", container, "--", "cat", "/tmp/stamps"])?;
        Ok((container, text.lines().filter_map(|line| line.trim().parse().ok()).collect()))
    };
    WAYS.iter().map(|(container, _)| read(container)).collect()
}

/// Returns when every way has had an answer after this call.
pub fn goes_on(kubectl: &Kubectl) {
    let start = now();
    eventually("answers on every way", Duration::from_secs(25), || {
        let late = stamps(kubectl)?.into_iter().find(|(_, all)| all.last().is_none_or(|last| *last <= start));
        late.map_or(Ok(()), |(container, all)| Err(format!("{container}: {:?}", all.last())))
    });
}

/// Every way had answers all the time from `start` to now.
pub fn assert_unbroken(kubectl: &Kubectl, start: u64) {
    let all = eventually("the notes", MINUTE, || stamps(kubectl));
    let end = now();
    for (container, what) in WAYS {
        let mut last = start;
        for stamp in all[container].iter().filter(|stamp| **stamp > start).chain([&end]) {
            let silent = stamp - last;
            assert!(
                silent <= PAUSE_MAX_S,
                "{container}: {what}: nothing for {silent} s after {}",
                last - start
            );
            last = *stamp;
        }
    }
}
