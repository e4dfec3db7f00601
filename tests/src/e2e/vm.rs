//! Debian's 6.12 kernel with the cgroup v2 tree alone, in an emulated machine: a node by `keelson up`, and one pod
//! that is limited and finds the API by its name.

use std::time::Duration;
use xtask::setup::find_kubectls;
use xtask::vm::{Kernel, Machine, tail};
use xtask::{images, repo};

/// 40 s on an idle machine, 110 s on one with a load of 15 per core: every instruction is emulated.
const LIMIT: Duration = Duration::from_secs(360);

const SCENARIO: &str = include_str!("vm.sh");

/// Takes no turn: the machine is one thread, has no cluster of this machine's, and may take its time.
#[test]
fn one_pod_on_another_kernel_with_cgroup_v2_alone() {
    let kernel = Kernel::cloud("6.12").expect("Debian's kernel is there");
    let console = machine(kernel).run(LIMIT).expect("the machine runs");
    // Shown when one of these is not as it should be.
    eprintln!("{}", tail(&console));
    let fact = |name: &str| {
        let found = console.lines().find_map(|line| line.strip_prefix(&format!("fact: {name}=")));
        found.unwrap_or_else(|| panic!("the console says nothing of {name}"))
    };
    assert!(fact("kernel").starts_with("6.12."), "{}", fact("kernel"));
    assert_eq!(fact("cgroups"), "cgroup2 rw");
    assert_eq!((fact("node"), fact("pod")), ("Ready", "Ready"));
    assert_eq!(fact("reached"), "reached the API by its name");
    for controller in ["cpu", "memory", "pids"] {
        assert!(fact("controllers").split(' ').any(|c| c == controller), "{}", fact("controllers"));
    }
    // The pod's limits, and that its containers are below them: the pause program and the pod's own.
    assert_eq!((fact("memory"), fact("cpu")), ("67108864", "50000 100000"));
    assert_eq!(fact("commands").split(' ').filter(|c| ["pause", "sleep"].contains(c)).count(), 2);
    // Links on an interface are tcx links: with clsact there are filters and no link.
    for link in ["cgroup-connect4", "eth0-"] {
        assert!(fact("links").contains(link), "no {link} in {}", fact("links"));
    }
    assert!(console.contains("machine: scenario ended with code 0"));
}

fn machine(kernel: Kernel) -> Machine {
    let mut machine = Machine::new(kernel, SCENARIO).expect("a machine's files are there");
    let kubectl = find_kubectls().pop().expect("a kubectl is installed");
    let program = repo::program("keelson", false);
    let added = machine
        .add_stripped("usr/bin/keelson", &program)
        .and_then(|()| machine.add("usr/bin/kubectl", 0o755, &kubectl.path))
        .and_then(|()| machine.add("images/busybox.tar", 0o644, &images::dir().join("busybox.tar")))
        .and_then(|()| machine.add("pod.yaml", 0o644, &repo::root().join("tests/src/e2e/vm.yaml")));
    added.expect("the binary and the images are built: cargo xtask build, cargo xtask image");
    machine
}
