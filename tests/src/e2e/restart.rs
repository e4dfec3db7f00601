//! It restarts: agent, containerd and server die under a running app, and the app does not notice.

use super::app::{MINUTE, deploy, in_shell, page, start_shell};
use crate::harness::{Kubectl, TestCluster, eventually};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

/// Every container of the app with its id and restart count, one line per pod.
fn containers(kubectl: &Kubectl) -> String {
    let each = "{.metadata.name} {.status.containerStatuses[*].containerID} {.status.containerStatuses[*].restartCount}";
    let path = format!("-o=jsonpath={{range .items[*]}}{each}{{\"\\n\"}}{{end}}");
    kubectl.run(&["-n", "sample", "get", "pods", &path])
}

/// A TCP stream between two pods that is held open: lines go in, and come back from the other pod.
struct Stream {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Stream {
    /// The echo server runs in the pod `shell`; the client beside it reaches it through the pod's address.
    fn open(kubectl: &Kubectl) -> Self {
        in_shell(kubectl, "(nc -lk -p 7000 -e cat >/dev/null 2>&1 &)").unwrap();
        let address = in_shell(kubectl, "hostname -i").unwrap();
        kubectl.apply(&CLIENT.replace("ADDRESS", address.trim()));
        kubectl.run(&["-n", "sample", "wait", "--for=condition=Ready", "pod/stream", "--timeout=60s"]);
        let mut child = kubectl
            .command(&["-n", "sample", "exec", "-i", "stream", "--", "nc", address.trim(), "7000"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    fn echo(&mut self, text: &str) {
        writeln!(self.input, "{text}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), text);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CLIENT: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: stream
  namespace: sample
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: keep
      image: keelson.dev/busybox:1
      # Writes a line a second over one connection, and fails when one does not come back.
      command: [sh, -c, "(while sleep 1; do echo tick; done) | nc ADDRESS 7000 > /tmp/ticks"]
"#;

/// The number of lines that have come back over the pod's own connection.
fn ticks(kubectl: &Kubectl) -> usize {
    let count = kubectl.ask(&["-n", "sample", "exec", "stream", "--", "sh", "-c", "wc -l < /tmp/ticks"]);
    count.unwrap().trim().parse().unwrap()
}

/// Kill -9 of the agent: containers, a held connection and the services go on without it; the next one adopts all.
#[test]
fn the_agent() {
    let cluster = TestCluster::up("agent-kill", 1, "auto");
    let kubectl = cluster.kubectl(33);
    deploy(&kubectl);
    start_shell(&kubectl);
    Stream::open(&kubectl).echo("before");
    let before = containers(&kubectl);

    cluster.agent(1).unwrap().signal(Signal::SIGKILL);
    std::thread::sleep(Duration::from_secs(10));
    assert!(
        page(&cluster, 1).contains("&quot;pod&quot;"),
        "new connections through the service, without an agent"
    );
    cluster.start_agent(1).unwrap();
    let after = eventually("the agent to serve again", MINUTE, || {
        in_shell(&kubectl, "true")?;
        Ok(containers(&kubectl))
    });
    assert_eq!(after, before, "no container was started again");
    let seen = ticks(&kubectl);
    assert!(seen >= 10, "the connection went on while there was no agent: {seen} ticks");
    eventually("more ticks", MINUTE, || if ticks(&kubectl) > seen { Ok(()) } else { Err("none".to_owned()) });
    cluster.finish();
}

/// Kill -9 of containerd: the agent starts it again, and containers go on.
#[test]
fn containerd() {
    let cluster = TestCluster::up("containerd-kill", 1, "auto");
    let kubectl = cluster.kubectl(33);
    deploy(&kubectl);
    let before = containers(&kubectl);
    let pid = std::fs::read_to_string(cluster.names.node_dir(1).join("run/containerd/pid")).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    start_shell(&kubectl);
    eventually("exec to work again", MINUTE, || in_shell(&kubectl, "true"));
    let after: Vec<_> =
        containers(&kubectl).lines().filter(|l| !l.starts_with("shell ")).map(str::to_owned).collect();
    assert_eq!(after.join("\n").trim(), before.trim(), "no container was started again");
    cluster.finish();
}

/// Kill -9 of the server: pods and services go on, and the next one knows everything.
#[test]
fn the_server() {
    let cluster = TestCluster::up("server-kill", 1, "auto");
    let kubectl = cluster.kubectl(33);
    deploy(&kubectl);
    let before = containers(&kubectl);
    cluster.server().unwrap().signal(Signal::SIGKILL);
    assert!(page(&cluster, 1).contains("&quot;pod&quot;"), "services without a server");
    cluster.start_server().unwrap();
    eventually("the server to serve again", MINUTE, || kubectl.ask(&["get", "--raw", "/readyz"]));
    assert_eq!(containers(&kubectl), before);
    kubectl.run(&["-n", "sample", "scale", "deployment/backend", "--replicas=4"]);
    kubectl.run(&["-n", "sample", "rollout", "status", "deployment/backend", "--timeout=60s"]);
    cluster.finish();
}
