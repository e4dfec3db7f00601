//! Resources: what a pod may take is in the kernel's books, and who takes more bears it.

use super::{MINUTE, expect, field, ready};
use crate::harness::{TestCluster, eventually};
use std::path::PathBuf;

/// A cgroup file of v1 or v2 in folder `group`, whichever this machine has.
fn read(group: &str, v1: (&str, &str), v2: &str) -> String {
    let root = PathBuf::from("/sys/fs/cgroup");
    let old = root.join(v1.0).join(group).join(v1.1);
    let file = if old.exists() { old } else { root.join(group).join(v2) };
    std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())).trim().to_owned()
}

pub(super) fn limits(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(33);
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: { name: frugal }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
      resources:
        requests: { cpu: 100m, memory: 16Mi }
        limits: { cpu: 250m, memory: 64Mi }
"#,
    );
    ready(kubectl, "frugal");
    let uid = field(kubectl, "pod/frugal", ".metadata.uid").unwrap();
    let id = field(kubectl, "pod/frugal", ".status.containerStatuses[0].containerID").unwrap();
    let id = id.strip_prefix("containerd://").unwrap();
    let pod = format!("{}/node1/kubepods/burstable/pod{uid}", cluster.names.cgroup());
    for group in [pod.clone(), format!("{pod}/{id}")] {
        let quota = read(&group, ("cpu", "cpu.cfs_quota_us"), "cpu.max");
        assert!(["25000", "25000 100000"].contains(&quota.as_str()), "{group}: {quota}");
        assert_eq!(read(&group, ("memory", "memory.limit_in_bytes"), "memory.max"), (64 << 20).to_string());
        let weight = read(&group, ("cpu", "cpu.shares"), "cpu.weight");
        assert!(["102", "4"].contains(&weight.as_str()), "{group}: {weight}");
    }
    assert_eq!(field(kubectl, "pod/frugal", ".status.qosClass").unwrap(), "Burstable");
    kubectl.run(&["delete", "pod/frugal", "--timeout=30s"]);
    // Without a grace period the object goes at once, and the rest follows.
    eventually("the cgroups to go", MINUTE, || {
        let mounts =
            ["cpu", "memory", "unified", "."].map(|m| PathBuf::from("/sys/fs/cgroup").join(m).join(&pod));
        mounts.iter().find(|g| g.exists()).map_or(Ok(()), |g| Err(g.display().to_string()))
    });
}

pub(super) fn out_of_memory(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(33);
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: { name: greedy }
spec:
  restartPolicy: Never
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [dd, if=/dev/zero, of=/dev/null, bs=256M, count=1]
      resources: { limits: { memory: 32Mi } }
"#,
    );
    let status = |field: &str| format!(".status.containerStatuses[0].state.terminated.{field}");
    expect(kubectl, "pod/greedy", &status("reason"), "OOMKilled", MINUTE);
    expect(kubectl, "pod/greedy", &status("exitCode"), "137", MINUTE);
    expect(kubectl, "pod/greedy", ".status.phase", "Failed", MINUTE);
    kubectl.run(&["delete", "pod/greedy", "--timeout=30s"]);
}
