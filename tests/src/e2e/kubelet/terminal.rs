//! `kubectl exec`: streams and a real terminal, with the oldest, a usual and the newest kubectl. The newest asks for
//! WebSockets, and falls back to SPDY without a word: what it was given the server tells.

use super::ready;
use crate::harness::{Kubectl, Terminal, TestCluster};

const VERSIONS: [u32; 3] = [27, 30, 33];

/// The first kubectl that asks for WebSockets; for port-forward it is the next one.
const WEBSOCKETS: u32 = 30;

/// Connections to pods that the server has made, asked for by WebSocket (GET) and by SPDY (POST).
fn made(cluster: &TestCluster, subresource: &str) -> [u64; 2] {
    let metrics = cluster.kubectl(33).run(&["get", "--raw=/metrics"]);
    ["GET", "POST"].map(|verb| {
        let labels = format!(
            "{{code=\"101\",group=\"\",resource=\"pods\",subresource=\"{subresource}\",verb=\"{verb}\",version=\"v1\"}}"
        );
        let wanted = format!("apiserver_request_total{labels} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&wanted));
        count.map_or(0, |count| count.parse().unwrap())
    })
}

/// Runs what makes `count` connections with kubectl 1.`minor`, and asserts that they were of its kind.
pub(super) fn connects(
    cluster: &TestCluster,
    minor: u32,
    subresource: &str,
    count: u64,
    run: impl FnOnce(&Kubectl),
) {
    let before = made(cluster, subresource);
    run(&cluster.kubectl(minor));
    let after = made(cluster, subresource);
    let new = [after[0] - before[0], after[1] - before[1]];
    let first = if subresource == "portforward" { WEBSOCKETS + 1 } else { WEBSOCKETS };
    let want = if minor < first { [0, count] } else { [count, 0] };
    assert_eq!(new, want, "{subresource} by WebSocket and by SPDY, kubectl 1.{minor}");
}

/// Starts the pod that commands run in; made once, for both rules.
fn shell(kubectl: &Kubectl) {
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: { name: shell }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
"#,
    );
    ready(kubectl, "shell");
}

pub(super) fn streams(cluster: &TestCluster) {
    for minor in VERSIONS {
        let kubectl = cluster.kubectl(minor);
        shell(&kubectl);
        connects(cluster, minor, "exec", 2, |kubectl| {
            let run = |line: &str, input: &str| {
                kubectl.with_input(&["exec", "-i", "shell", "--", "sh", "-c", line], input)
            };
            let output = run("echo out; echo err >&2; exit 42", "");
            assert_eq!((output.stdout.as_str(), output.code), ("out\n", 42), "{output:?}");
            assert!(output.stderr.starts_with("err\n"), "{output:?}");
            assert!(output.stderr.contains("exit code 42"), "{output:?}");
            // The end of the input is the command's end of file; nothing is lost on the way in or out.
            let much: String = (0..100_000).map(|n| format!("{n:09}\n")).collect();
            let output = run("cat", &much);
            assert_eq!(output.code, 0, "{}", output.stderr);
            assert!(output.stdout == much, "{} of {} bytes came back", output.stdout.len(), much.len());
        });
        let none = kubectl.try_run(&["exec", "shell", "--", "no-such-program"]);
        assert!(none.code != 0 && none.stderr.contains("no-such-program"), "{none:?}");
        let none = kubectl.try_run(&["exec", "shell", "-c", "no-such-container", "--", "true"]);
        assert!(none.code != 0 && none.stderr.contains("no-such-container"), "{none:?}");
    }
}

pub(super) fn interactive(cluster: &TestCluster) {
    for minor in VERSIONS {
        shell(&cluster.kubectl(minor));
        connects(cluster, minor, "exec", 2, |kubectl| {
            let mut terminal =
                Terminal::start(kubectl.command(&["exec", "-it", "shell", "--", "sh"]), 37, 111);
            terminal.see("# ");
            terminal.press("tty; stty size\r");
            terminal.see("/dev/pts/");
            terminal.see("37 111");
            // The shell is told of the new size as by any terminal.
            terminal.press("trap 'stty size' WINCH; sleep 1; echo re''sized\r");
            terminal.resize(50, 132);
            terminal.see("resized");
            terminal.press("stty size\r");
            terminal.see("50 132");
            terminal.press("sleep 100\r");
            terminal.see("sleep 100");
            terminal.press("\u{3}");
            terminal.press("echo al''ive\r");
            terminal.see("alive");
            terminal.press("exit 7\r");
            terminal.see("exit code 7");
            assert_eq!(terminal.end(), 7, "kubectl 1.{minor}");
            // The terminal's own end of input.
            let mut terminal =
                Terminal::start(kubectl.command(&["exec", "-it", "shell", "--", "cat"]), 24, 80);
            terminal.press("copy\r");
            terminal.see("copy\r\ncopy");
            terminal.press("\u{4}");
            assert_eq!(terminal.end(), 0, "kubectl 1.{minor}");
        });
    }
    cluster.kubectl(33).run(&["delete", "pod/shell", "--timeout=30s"]);
}
