//! What brings a cluster up is killed, or all of a cluster is: what is left is found by its state folder alone, and
//! removed.

use super::app::deploy;
use crate::harness::{Belongings, Kubectl, Share, state_of, turn};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use xtask::cluster::{Names, down, processes};
use xtask::repo;

/// `cargo xtask up` as a user types it, after the build.
fn bring_up(state: &Path) -> Child {
    let program = repo::program("xtask", false);
    let mut command = Command::new(&program);
    command.args(["up", "--built", "--nodes", "2", "--datapath", "ebpf", "--state"]).arg(state);
    command.current_dir(repo::root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    command.spawn().unwrap_or_else(|error| panic!("{}: {error}; run cargo xtask test", program.display()))
}

/// kill -9 early and in the middle of bringing a cluster up, and of every process of one that carries pods.
#[test]
fn leaves_nothing_after_down() {
    let _turn = turn(Share::Half);
    let state = state_of("killed");
    let names = Names::of(&state);
    down(&state).unwrap();
    for life_ms in [150, 900, 2500] {
        let mut child = bring_up(&state);
        std::thread::sleep(Duration::from_millis(life_ms));
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it is killed amid its work, after {life_ms} ms: {ended:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        let belongings = Belongings::of(&names);
        down(&state).unwrap();
        belongings.assert_gone(&names);
    }
    assert!(bring_up(&state).wait().unwrap().success(), "the cluster comes up");
    let kubeconfig = names.server_dir().join("admin.kubeconfig");
    deploy(&Kubectl::version(33, kubeconfig, state.join("kubectl-cache")));
    let all = processes(&names);
    assert!(all.len() > 10, "server, agents, containerds, shims, pause programs, pods: {all:?}");
    let belongings = Belongings::of(&names);
    assert!(belongings.bpf_objects() > 20, "two nodes' programs, maps and links are known");
    for pid in all {
        // Some end with others.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    down(&state).unwrap();
    belongings.assert_gone(&names);
}
