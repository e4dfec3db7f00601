//! `kubectl attach` and `kubectl port-forward`: connections into a pod, with the oldest, a usual and the newest kubectl.

use super::terminal::connects;
use super::{MINUTE, expect, ready};
use crate::harness::{Kubectl, TestCluster};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

const VERSIONS: [u32; 3] = [27, 30, 33];

/// What is written to the program's input goes to its output, until the input ends.
pub(super) fn attach(cluster: &TestCluster) {
    for minor in VERSIONS {
        let kubectl = cluster.kubectl(minor);
        kubectl.apply(
            r#"
apiVersion: v1
kind: Pod
metadata: { name: parrot }
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
    - name: c
      image: keelson.dev/busybox:1
      stdin: true
      stdinOnce: true
      command: [sh, -c, "while read line; do echo said $line; done; echo over"]
"#,
        );
        ready(&kubectl, "parrot");
        connects(cluster, minor, "attach", 1, |kubectl| {
            let output = kubectl.with_input(&["attach", "-i", "parrot", "-c", "c"], "one\ntwo\n");
            assert_eq!(output.code, 0, "kubectl 1.{minor}: {output:?}");
            let told = output.stdout.starts_with("said one\nsaid two\nover\n");
            assert!(told, "kubectl 1.{minor}: {output:?}");
        });
        expect(&kubectl, "pod/parrot", ".status.phase", "Succeeded", MINUTE);
        assert_eq!(kubectl.run(&["logs", "parrot"]), "said one\nsaid two\nover\n");
        let none = kubectl.try_run(&["attach", "parrot"]);
        assert!(none.code != 0, "the program has ended: {none:?}");
        kubectl.run(&["delete", "pod/parrot", "--timeout=30s"]);
    }
}

pub(super) fn port_forward(cluster: &TestCluster) {
    let kubectl = cluster.kubectl(33);
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sh, -c, "mkdir /tmp/www; seq 200000 > /tmp/www/much; exec httpd -f -p 80 -h /tmp/www"]
      readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 }
"#,
    );
    ready(&kubectl, "web");
    let wanted: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    for minor in VERSIONS {
        connects(cluster, minor, "portforward", 1, |kubectl| {
            let forward = Forward::start(kubectl, "pod/web", 80);
            // Connections share one tunnel, and come through whole.
            std::thread::scope(|scope| {
                let asked: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| get(forward.address, "/much").unwrap())).collect();
                for reply in asked {
                    let reply = reply.join().unwrap();
                    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
                    assert!(head.contains("200 OK"), "kubectl 1.{minor}: {head}");
                    assert!(body == wanted, "kubectl 1.{minor}: {} of {} bytes", body.len(), wanted.len());
                }
            });
            drop(forward);
        });
        // Nobody listens on the pod's port: the connection ends without a byte.
        let forward = Forward::start(&cluster.kubectl(minor), "pod/web", 81);
        let none = get(forward.address, "/");
        assert!(none.is_err(), "kubectl 1.{minor}: {none:?}");
    }
    kubectl.run(&["delete", "pod/web", "--timeout=30s"]);
}

/// One HTTP/1.0 exchange: the whole reply.
fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let _ = stream.shutdown(Shutdown::Both);
    if reply.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(reply) }
}

/// A running `kubectl port-forward`; it ends with this.
struct Forward {
    child: Child,
    address: SocketAddr,
    /// It tells of each connection, and would end where nobody listens.
    _output: BufReader<ChildStdout>,
}

impl Forward {
    fn start(kubectl: &Kubectl, object: &str, port: u16) -> Self {
        let mut child = kubectl
            .command(&["port-forward", object, &format!(":{port}"), "--address=127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        // "Forwarding from 127.0.0.1:40000 -> 80"
        let address = line.split(' ').nth(2).and_then(|word| word.parse().ok());
        Self { address: address.unwrap_or_else(|| panic!("kubectl said {line:?}")), child, _output: output }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
