//! Bad input, continued: a disk that is full.

use super::app::MINUTE;
use super::bad_input::assert_says;
use crate::harness::{Disk, TestCluster, eventually};
use nix::sys::signal::Signal;
use std::process::{Command, Stdio};

/// Writes are refused in words, reads go on, nothing is lost, and with room all is well again.
#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    let cluster = TestCluster::prepared("full-disk", 0);
    let _disk = Disk::make(&cluster);
    let kubectl = cluster.kubectl(33);
    let serves = || {
        cluster.start_server().unwrap();
        eventually("the server to serve", MINUTE, || kubectl.ask(&["get", "--raw", "/readyz"]));
    };
    serves();
    kubectl.run(&["create", "configmap", "before", "--from-literal=a=b"]);
    let filler = cluster.names.server_dir().join("filler");
    let status = Command::new("dd")
        .args(["if=/dev/zero", "bs=1M", &format!("of={}", filler.display())])
        .stderr(Stdio::null())
        .status();
    assert!(!status.unwrap().success(), "the disk is full");

    let refused = || {
        let refused = kubectl.try_run(&["create", "configmap", "during", "--from-literal=a=b"]);
        assert_ne!(refused.code, 0, "{refused:?}");
        assert_says(&refused.stderr, &["MiB are free", "writes are taken again when there is room"]);
    };
    refused();
    let read = || kubectl.run(&["get", "configmaps", "-o=jsonpath={.items[*].metadata.name}"]);
    assert!(read().contains("before") && !read().contains("during"), "{}", read());
    // A server that dies now starts again: its store holds a part of the disk for that.
    cluster.server().unwrap().signal(Signal::SIGKILL);
    assert!(cluster.server().unwrap().wait(MINUTE));
    cluster.start_server().unwrap();
    eventually("reads after a restart", MINUTE, || kubectl.ask(&["get", "configmap", "before"]));
    refused();

    std::fs::remove_file(&filler).unwrap();
    eventually("writes with room again", MINUTE, || {
        kubectl.ask(&["create", "configmap", "after", "--from-literal=a=b"])
    });
    assert!(read().contains("before") && read().contains("after"), "{}", read());
    cluster.server().unwrap().stop(MINUTE).unwrap();
    serves();
    assert!(
        read().contains("before") && read().contains("after") && !read().contains("during"),
        "{}",
        read()
    );
    cluster.finish();
}
