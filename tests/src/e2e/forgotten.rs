//! A runtime that forgets a sandbox never takes its network back: the agent does.

use super::app::MINUTE;
use crate::harness::{TestCluster, eventually, in_host, pod_entries, pods_things};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::net::IpAddr;

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: NAME, namespace: default }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: sleep
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
---
"#;

/// What the data plane has noted of the sandbox of a pod.
fn attachment(cluster: &TestCluster, pod: &str) -> Value {
    let folder = cluster.names.node_dir(1).join("datapath/attachments");
    let files =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| std::fs::read(entry.path()).unwrap());
    let mut all = files.map(|text| serde_json::from_slice::<Value>(&text).unwrap());
    all.find(|attachment| attachment["podName"] == pod).expect("the pod has a network")
}

/// Takes a container out of containerd without CRI, as if it had never been noted.
fn forget(cluster: &TestCluster, id: &str) {
    let socket = cluster.names.node_dir(1).join("run/containerd/containerd.sock").display().to_string();
    let ctr = |words: &[&str]| {
        in_host(cluster, "node1", "ctr", &[&["-a", socket.as_str(), "-n", "k8s.io"], words].concat())
    };
    eventually("containerd to let it go", MINUTE, || {
        // The shim ends with its last task, sometimes before it has said so.
        let _ = ctr(&["tasks", "rm", "-f", id]);
        ctr(&["containers", "rm", id])
    });
}

/// The agent is dead, containerd loses a sandbox and dies: nobody will ever send DEL for it.
#[test]
fn sandboxes_leave_nothing() {
    let cluster = TestCluster::up("forgotten", 1, "ebpf");
    let kubectl = cluster.kubectl(33);
    kubectl.apply(&(PODS.replace("NAME", "kept") + &PODS.replace("NAME", "lost")));
    kubectl.run(&["wait", "--for=condition=Ready", "pod/kept", "pod/lost", "--timeout=60s"]);
    let path = "-o=jsonpath={.status.containerStatuses[0].containerID}";
    let container = kubectl.run(&["get", "pod", "lost", path]);
    let (lost, kept) = (attachment(&cluster, "lost"), attachment(&cluster, "kept"));
    let text = |name: &str| lost[name].as_str().unwrap().to_owned();
    let (sandbox, interface) = (text("containerId"), text("hostInterface"));
    let address: IpAddr = text("address").parse().unwrap();
    assert!(pod_entries(&cluster, 1).contains(&address));

    let agent = cluster.agent(1).unwrap();
    agent.signal(Signal::SIGKILL);
    assert!(agent.wait(MINUTE), "the agent ends");
    forget(&cluster, container.trim_start_matches("containerd://"));
    forget(&cluster, &sandbox);
    let pid = std::fs::read_to_string(cluster.names.node_dir(1).join("run/containerd/pid")).unwrap();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    cluster.start_agent(1).unwrap();

    eventually("the pod to run in a new sandbox", MINUTE, || {
        let again = kubectl.ask(&["get", "pod", "lost", path])?;
        if again != container { Ok(()) } else { Err(again) }
    });
    eventually("the old network to go", MINUTE, || {
        let things = pods_things(&cluster, 1);
        let interfaces = things["interfaces"].iter().any(|line| line.contains(&interface));
        let entries = pod_entries(&cluster, 1);
        if interfaces || entries.contains(&address) || entries.len() != 2 || things["attachments"].len() != 2
        {
            return Err(format!("{things:#?} {entries:?}"));
        }
        Ok(())
    });
    assert_eq!(attachment(&cluster, "kept"), kept, "the other pod's network is not touched");
    assert_ne!(attachment(&cluster, "lost")["containerId"], lost["containerId"]);
    kubectl.run(&["exec", "lost", "--", "true"]);
    cluster.finish();
}
