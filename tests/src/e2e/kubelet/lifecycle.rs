//! Beginnings and ends of containers.

use super::{MINUTE, expect, field, ready};
use crate::harness::{TestCluster, eventually};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The second, third and fourth start wait 10, 20 and 40 seconds (the first restart is at once).
pub(super) fn back_off(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(30);
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
    let status = |path: &str| format!(".status.containerStatuses[0].{path}");
    expect(kubectl, "pod/crasher", &status("restartCount"), "1", Duration::from_secs(30));
    for (restart, pause) in [("2", 10_u64), ("3", 20), ("4", 40)] {
        eventually("the reason", MINUTE, || {
            let reason = field(kubectl, "pod/crasher", &status("state.waiting.reason"))?;
            if reason == "CrashLoopBackOff" { Ok(()) } else { Err(reason) }
        });
        let limit = Duration::from_secs(pause + 30);
        let took = expect(kubectl, "pod/crasher", &status("restartCount"), restart, limit).as_secs_f64();
        let wanted = pause as f64;
        assert!((wanted - 2.0..wanted + 6.0).contains(&took), "restart {restart} after {pause} s: {took:.1}");
    }
    let code = field(kubectl, "pod/crasher", &status("lastState.terminated.exitCode"));
    assert_eq!(code.unwrap(), "3");
    assert_eq!(kubectl.run(&["logs", "crasher", "--previous"]), "run\n");
    kubectl.run(&["delete", "pod/crasher", "--timeout=30s"]);
}

pub(super) fn init(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(33);
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

pub(super) fn grace(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(33);
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
    ready(kubectl, "stubborn");
    let mut logs = kubectl.command(&["logs", "-f", "stubborn"]);
    let logs = logs.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    kubectl.run(&["delete", "pod/stubborn", "--timeout=30s"]);
    let took = start.elapsed().as_secs_f64();
    let heard = logs.wait_with_output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&heard), "asked\n", "SIGTERM comes first, and once");
    assert!((2.5..8.0).contains(&took), "SIGTERM, three seconds, SIGKILL: {took:.1} s");
}

pub(super) fn deadline(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(33);
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: { name: late }
spec:
  activeDeadlineSeconds: 3
  terminationGracePeriodSeconds: 1
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
"#,
    );
    ready(kubectl, "late");
    let took = expect(kubectl, "pod/late", ".status.phase", "Failed", MINUTE).as_secs_f64();
    assert!(took < 15.0, "three seconds, and one of grace: {took:.1} s");
    assert_eq!(field(kubectl, "pod/late", ".status.reason").unwrap(), "DeadlineExceeded");
    let message = field(kubectl, "pod/late", ".status.message").unwrap();
    assert_eq!(message, "Pod was active on the node longer than the specified deadline");
    let state = field(kubectl, "pod/late", ".status.containerStatuses[0].state.terminated.exitCode").unwrap();
    assert_eq!(state, "137", "no container of it is left");
    kubectl.run(&["delete", "pod/late", "--timeout=30s"]);
}
