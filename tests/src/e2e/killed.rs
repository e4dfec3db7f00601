//! A test that was killed: what it left is found by its state folder alone, and removed.

use super::app::deploy;
use crate::harness::{Belongings, TestCluster, eventually, state_of, turn};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use xtask::cluster::{Names, down};

const NAME: &str = "killed";
/// Set for the process that is to be killed.
const CHILD: &str = "KEELSON_TEST_TO_BE_KILLED";
/// The child's cluster is made and carries pods.
const DONE: &str = "pods-run";

/// Not a rule of its own: what the next one starts in a process apart, which the variable tells it.
#[test]
fn a_process_with_a_cluster() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let cluster = TestCluster::up(NAME, 2, "ebpf");
    deploy(&cluster.kubectl(33));
    std::fs::write(cluster.names.state().join(DONE), "").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

/// kill -9 early, in the middle and at the end of bringing a cluster up.
#[test]
fn leaves_nothing_after_down() {
    let _turn = turn();
    let state = state_of(NAME);
    let names = Names::of(&state);
    down(&state).unwrap();
    for life in [Some(150), Some(900), Some(2500), None] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "e2e::killed::a_process_with_a_cluster"])
            .env(CHILD, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        match life {
            Some(ms) => std::thread::sleep(Duration::from_millis(ms)),
            None => eventually("the child's pods", Duration::from_secs(90), || {
                if state.join(DONE).exists() { Ok(()) } else { Err(format!("{:?}", child.try_wait())) }
            }),
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let belongings = Belongings::of(&names);
        if life.is_none() {
            assert!(belongings.bpf_objects() > 20, "two nodes' programs, maps and links are known");
        }
        down(&state).unwrap();
        belongings.assert_gone(&names);
    }
}
