//! A process of a node that makes a known number of socket calls and says what it was told.

use super::cluster::TestCluster;
use std::fs::File;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;
use xtask::cluster::{Names, v2_root};

const TASK: &str = "KEELSON_TEST_CALLS";
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs `count` calls of a kind (`tcp`: connect and getpeername, `udp`: sendto and recvfrom) from node `index` to an
/// address. Panics when one of them does not go as if the service itself were there.
pub fn call_from_node(cluster: &TestCluster, index: usize, kind: &str, count: u64, to: SocketAddr) {
    if let Err(error) = run(cluster, index, &format!("{kind} {count} {to}")) {
        panic!("{kind} to {to}: {error}");
    }
}

/// The body of a 200 to a GET by HTTP, as a process of node `index` gets it.
pub fn get_from_node(cluster: &TestCluster, index: usize, authority: &str) -> Result<String, String> {
    run(cluster, index, &format!("get 1 {authority}"))
}

/// Does a task in a process of its own, in the network and the cgroup of a node's agent.
fn run(cluster: &TestCluster, index: usize, task: &str) -> Result<String, String> {
    let netns = File::open(cluster.names.netns_path(&Names::node(index))).expect("the node has a network");
    let node = v2_root().expect("there is a v2 tree").join(cluster.names.cgroup()).join(Names::node(index));
    let procs = node.join("agent/cgroup.procs");
    let mut command = Command::new(std::env::current_exe().expect("this test has a file"));
    command.args(["--exact", "harness::caller::calls", "--nocapture", "--test-threads=1"]);
    command.env(TASK, task);
    // SAFETY: between fork and exec only system calls are made: open, write, setns; what they need was made before.
    unsafe {
        command.pre_exec(move || {
            std::fs::write(&procs, "0")?;
            nix::sched::setns(&netns, nix::sched::CloneFlags::CLONE_NEWNET).map_err(Into::into)
        });
    }
    let output = command.output().expect("this test can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    match text.split_once("CALLED ") {
        Some((_, rest)) => Ok(rest.lines().next().unwrap_or_default().to_owned()),
        None => Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// The process that [`call_from_node`] starts; nothing without its variable.
#[test]
fn calls() {
    let Ok(task) = std::env::var(TASK) else { return };
    let words: Vec<&str> = task.split(' ').collect();
    let (count, to): (u64, SocketAddr) = (words[1].parse().unwrap(), words[2].parse().unwrap());
    let mut answer = String::new();
    match words[0] {
        "tcp" => tcp(count, to),
        "udp" => udp(count, to),
        "get" => answer = get(to),
        other => panic!("unknown calls {other}"),
    }
    println!("CALLED {answer}");
}

fn tcp(count: u64, to: SocketAddr) {
    for _ in 0..count {
        let stream = TcpStream::connect(to).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), to, "the peer is the service");
    }
}

/// The first line of the body.
fn get(to: SocketAddr) -> String {
    let answer = super::net::exchange(&to.to_string(), &super::net::request(&to.to_string(), "")).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    body.lines().next().unwrap_or_default().to_owned()
}

fn udp(count: u64, to: SocketAddr) {
    let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..count {
        socket.send_to(b"?", to).unwrap();
        let (_, from) = socket.recv_from(&mut [0; 8]).unwrap();
        assert_eq!(from, to, "the answer comes from the service");
    }
}
