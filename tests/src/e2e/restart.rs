//! It restarts: agents, containerd and the server die under a running app, and the app does not notice.

use super::app::{MINUTE, deploy, in_shell, page, start_shell};
use super::traffic::{self, assert_unbroken, goes_on};
use crate::harness::{Kubectl, TestCluster, eventually, http_get, pods_things};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::time::Duration;

/// Every container of the namespace by its pod and name, with its id and restart count.
pub(super) fn containers(kubectl: &Kubectl) -> Result<BTreeMap<String, String>, String> {
    let each =
        "{.metadata.name} {range .status.containerStatuses[*]}{.name}={.containerID}/{.restartCount} {end}";
    let path = format!("-o=jsonpath={{range .items[*]}}{each}{{\"\\n\"}}{{end}}");
    let text = kubectl.ask(&["-n", "sample", "get", "pods", &path])?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect())
}

/// The very containers of `before` run; pods that came later do not matter.
pub(super) fn assert_untouched(kubectl: &Kubectl, before: &BTreeMap<String, String>) {
    let mut after = eventually("the pods", MINUTE, || containers(kubectl));
    after.retain(|pod, _| before.contains_key(pod));
    assert_eq!(&after, before, "no container was started again");
}

fn kill_agent(cluster: &TestCluster, index: usize) {
    let agent = cluster.agent(index).unwrap();
    agent.signal(Signal::SIGKILL);
    assert!(agent.wait(MINUTE), "the agent ends");
}

/// Whether NodePorts answer on every node. Without agents there is no DNS, so the page itself would hold no answers.
fn assert_node_ports(cluster: &TestCluster) {
    for index in 1..=cluster.spec.nodes {
        let url = format!("http://{}:30080/healthz", cluster.names.node_ip(index));
        let answer = eventually("the NodePort", MINUTE, || http_get(cluster, "client", &url));
        assert_eq!(answer, "ok\n");
    }
}

/// kill -9 of every agent: containers, held connections and services go on without them; the next ones adopt all.
fn agents_die(name: &str, datapath: &str, without: Duration) {
    let cluster = TestCluster::up(name, 2, datapath);
    let kubectl = cluster.kubectl(33);
    deploy(&kubectl);
    start_shell(&kubectl);
    traffic::start(&kubectl, "node2");
    let before = containers(&kubectl).unwrap();
    let start = traffic::now();
    (1..=2).for_each(|index| kill_agent(&cluster, index));
    assert_node_ports(&cluster);
    cluster.rest(|| std::thread::sleep(without));
    assert_node_ports(&cluster);
    assert_untouched(&kubectl, &before);
    (1..=2).for_each(|index| cluster.start_agent(index).unwrap());
    eventually("exec to work again", MINUTE, || in_shell(&kubectl, "true"));
    goes_on(&kubectl);
    assert_unbroken(&kubectl, start);
    assert_untouched(&kubectl, &before);
    eventually("the page", MINUTE, || {
        page(&cluster, 1).contains("&quot;pod&quot;").then_some(()).ok_or_else(|| "no backend".to_owned())
    });
    // What was adopted can be ended, and leaves nothing.
    kubectl.run(&["delete", "namespace", "sample", "--timeout=60s"]);
    (1..=2).for_each(|index| assert_empty(&cluster, index));
    cluster.finish();
}

#[test]
fn the_agents() {
    agents_die("agent-kill", "ebpf", Duration::from_secs(60));
}

#[test]
fn the_agents_with_iptables() {
    agents_die("agent-kill-ipt", "iptables", Duration::from_secs(10));
}

/// Nothing of any pod is on the node.
fn assert_empty(cluster: &TestCluster, index: usize) {
    eventually("pods to leave nothing", MINUTE, || {
        let left = pods_things(cluster, index);
        if left.is_empty() { Ok(()) } else { Err(format!("node{index}: {left:#?}")) }
    });
}

fn kill_containerd(cluster: &TestCluster, index: usize) {
    let file = cluster.names.node_dir(index).join("run/containerd/pid");
    let pid = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// kill -9 of containerd: the agent starts it again, and containers and connections go on.
#[test]
fn containerd() {
    let cluster = TestCluster::up("containerd-kill", 2, "auto");
    let kubectl = cluster.kubectl(33);
    deploy(&kubectl);
    traffic::start(&kubectl, "node2");
    let before = containers(&kubectl).unwrap();
    let start = traffic::now();
    (1..=2).for_each(|index| kill_containerd(&cluster, index));
    // Asked for while there may be no runtime, it starts all the same.
    start_shell(&kubectl);
    eventually("exec to work again", MINUTE, || in_shell(&kubectl, "true"));
    goes_on(&kubectl);
    assert_unbroken(&kubectl, start);
    assert_untouched(&kubectl, &before);
    cluster.finish();
}

/// Kills the process of the container in the pod `shell`.
fn kill_shell(cluster: &TestCluster, uid: &str) {
    let read =
        |pid: i32, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let of_shell =
        |pid: &i32| read(*pid, "cgroup").contains(uid) && read(*pid, "cmdline").starts_with("sleep");
    let pid = xtask::cluster::processes(&cluster.names).into_iter().find(of_shell).expect("the shell runs");
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// kill -9 of the server: pods and services go on, kubelets do their work, and the next server knows everything.
#[test]
fn the_server() {
    let cluster = TestCluster::up("server-kill", 2, "auto");
    let kubectl = cluster.kubectl(33);
    deploy(&kubectl);
    start_shell(&kubectl);
    traffic::start(&kubectl, "node2");
    let uid = kubectl.run(&["-n", "sample", "get", "pod", "shell", "-o=jsonpath={.metadata.uid}"]);
    let mut before = containers(&kubectl).unwrap();
    let start = traffic::now();
    cluster.server().unwrap().signal(Signal::SIGKILL);
    assert!(cluster.server().unwrap().wait(MINUTE));
    assert!(page(&cluster, 1).contains("&quot;pod&quot;"), "services and names without a server");
    kill_shell(&cluster, &uid);
    std::thread::sleep(Duration::from_secs(3));
    cluster.start_server().unwrap();
    eventually("the server to serve again", MINUTE, || kubectl.ask(&["get", "--raw", "/readyz"]));
    before.remove("shell");
    assert_untouched(&kubectl, &before);
    eventually("the kubelet to tell of its work", MINUTE, || {
        let shell = containers(&kubectl)?.remove("shell").unwrap_or_default();
        if shell.trim().ends_with("/1") { Ok(()) } else { Err(shell) }
    });
    in_shell(&kubectl, "true").unwrap();
    kubectl.run(&["-n", "sample", "scale", "deployment/backend", "--replicas=4"]);
    kubectl.run(&["-n", "sample", "rollout", "status", "deployment/backend", "--timeout=60s"]);
    goes_on(&kubectl);
    assert_unbroken(&kubectl, start);
    cluster.finish();
}

/// More pods than the sample app, and what they need of a node: address, volume, cgroup.
const MANY: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: many
spec:
  replicas: 16
  selector: { matchLabels: { app: many } }
  template:
    metadata: { labels: { app: many } }
    spec:
      terminationGracePeriodSeconds: 1
      volumes: [{ name: scratch, emptyDir: {} }]
      containers:
        - name: sleep
          image: keelson.dev/busybox:1
          command: [sleep, "3600"]
          volumeMounts: [{ name: scratch, mountPath: /scratch }]
"#;

/// kill -9 of the agent again and again while pods start and end: all of them run in the end, each exactly once, and
/// nothing is left when they are gone.
#[test]
fn the_agent_amid_pod_starts() {
    let cluster = TestCluster::up("agent-amid", 1, "ebpf");
    let kubectl = cluster.kubectl(33);
    assert_empty(&cluster, 1);
    kubectl.apply(MANY);
    for wait_ms in [300, 700, 1100] {
        std::thread::sleep(Duration::from_millis(wait_ms));
        kill_agent(&cluster, 1);
        cluster.start_agent(1).unwrap();
        eventually("the agent to serve", MINUTE, || {
            kubectl.ask(&["get", "--raw", "/api/v1/nodes/node1"]).and_then(|_| {
                let things = pods_things(&cluster, 1);
                if things.contains_key("tasks") { Ok(()) } else { Err("no pod yet".to_owned()) }
            })
        });
    }
    kubectl.run(&["rollout", "status", "deployment/many", "--timeout=90s"]);
    let ips = kubectl.run(&["get", "pods", "-o=jsonpath={.items[*].status.podIP}"]);
    let different: std::collections::BTreeSet<_> = ips.split_whitespace().collect();
    assert_eq!(different.len(), 16, "every pod has an address of its own: {ips}");
    let once = |kind| {
        eventually("each pod to be there once", MINUTE, || {
            let things = pods_things(&cluster, 1);
            let all = things.get(kind).map_or(&[][..], Vec::as_slice);
            if all.len() == 16 { Ok(()) } else { Err(format!("{} {kind}: {all:#?}", all.len())) }
        })
    };
    ["interfaces", "attachments", "kubelet folders", "routes"].into_iter().for_each(once);
    kubectl.run(&["scale", "deployment/many", "--replicas=0"]);
    for wait_ms in [500, 700] {
        std::thread::sleep(Duration::from_millis(wait_ms));
        kill_agent(&cluster, 1);
        cluster.start_agent(1).unwrap();
    }
    eventually("the pods to go", MINUTE, || match kubectl.ask(&["get", "pods", "-o", "name"])?.as_str() {
        "" => Ok(()),
        some => Err(some.to_owned()),
    });
    assert_empty(&cluster, 1);
    cluster.finish();
}
