//! Logs: the whole of them, the newest of them, and as they are written.

use super::{MINUTE, expect, field};
use crate::harness::{Kubectl, TestCluster};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

const LINES: usize = 20;

pub(super) fn follow(cluster: &TestCluster) {
    for minor in [27, 30, 33] {
        let kubectl = cluster.kubectl(minor);
        kubectl.apply(
            r#"
apiVersion: v1
kind: Pod
metadata: { name: talker }
spec:
  restartPolicy: Never
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sh, -c, "for i in $(seq 20); do echo line $i; echo aside $i >&2; sleep 0.2; done; printf end"]
"#,
        );
        expect(&kubectl, "pod/talker", ".status.phase", "Running", MINUTE);
        let lines = follow_to_end(&kubectl);
        let said = |word: &str| lines.iter().filter(|l| l.starts_with(word)).count();
        assert_eq!((said("line "), said("aside ")), (LINES, LINES), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("end"), "also without its line's end");
        expect(&kubectl, "pod/talker", ".status.phase", "Succeeded", MINUTE);
        let whole: Vec<_> = kubectl.run(&["logs", "talker"]).lines().map(str::to_owned).collect();
        assert_eq!(whole, lines, "who follows sees what is there in the end");
        assert_eq!(kubectl.run(&["logs", "talker", "--tail=3"]).lines().collect::<Vec<_>>(), whole[38..]);
        let stamped = kubectl.run(&["logs", "talker", "--timestamps", "--tail=1"]);
        assert!(stamped.starts_with("20") && stamped.trim_end().ends_with("Z end"), "{stamped}");
        assert_eq!(kubectl.run(&["logs", "talker", "--limit-bytes=6"]), whole[0][..6]);
        let none = kubectl.try_run(&["logs", "talker", "--previous"]);
        let words = "previous terminated container \"c\" in pod \"talker\" not found";
        assert!(none.code != 0 && none.stderr.contains(words), "{none:?}");
        kubectl.run(&["delete", "pod/talker", "--timeout=30s"]);
    }
}

/// Every line of the pod's log as `logs -f` gives it; the first ones come while the container still runs.
fn follow_to_end(kubectl: &Kubectl) -> Vec<String> {
    let mut child = kubectl
        .command(&["logs", "-f", "talker"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = vec![output.next().expect("a line comes").unwrap()];
    assert_eq!(
        field(kubectl, "pod/talker", ".status.phase").unwrap(),
        "Running",
        "lines come as they are written"
    );
    lines.extend(output.map(Result::unwrap));
    assert_eq!(child.wait().unwrap().code(), Some(0), "it ends with its container");
    lines
}
