//! It is installed as the README says: `keelson up` on a machine of its own, `keelson agent` on a second one, and
//! nothing that a user would not type.

use super::app::{MINUTE, assert_spread, deploy, page};
use super::bad_input::{assert_says, fails};
use super::restart::{assert_untouched, containers};
use crate::harness::{Kubectl, Machine, TestCluster, eventually, http_get};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xtask::images;

const UP: [&str; 1] = ["up"];

/// The kubeconfig that `keelson up` names, and kubectl with it.
fn kubectl(cluster: &TestCluster, alpha: &Machine) -> Kubectl {
    let printed = || {
        let said = alpha.said();
        let line = said.lines().find_map(|line| line.trim().strip_prefix("export KUBECONFIG="));
        line.map(str::to_owned).ok_or(said)
    };
    let file = eventually("up to say where the kubeconfig is", MINUTE, printed);
    Kubectl::version(33, alpha.path(&file), cluster.names.state().join("kubectl-cache"))
}

fn wait_ready(kubectl: &Kubectl, node: &str) {
    let path = "-o=jsonpath={.status.conditions[?(@.type==\"Ready\")]['status', 'message']}";
    eventually(&format!("{node} to be Ready"), MINUTE, || {
        let status = kubectl.ask(&["get", "node", node, path])?;
        if status.starts_with("True") { Ok(()) } else { Err(status) }
    });
}

fn import_all(cluster: &TestCluster, machine: &Machine) {
    let webserver = format!("{}:1", images::WEBSERVER);
    for (archive, name) in [("busybox.tar", images::BUSYBOX), ("webserver-1.tar", &webserver)] {
        let file = images::dir().join(archive).display().to_string();
        assert_eq!(machine.run(&cluster.spec.program, &["image", "import", &file]).as_deref(), Ok(name));
    }
}

/// Sends a signal to the one `keelson up`, and waits until it, its server and its agent have ended.
fn end_up(cluster: &TestCluster, alpha: &Machine, signal: Signal) {
    let program = &cluster.spec.program;
    let [up] = alpha.processes(program, "up")[..] else { panic!("one keelson up runs") };
    kill(Pid::from_raw(up), signal).unwrap();
    eventually("up, server and agent to end", Duration::from_secs(20), || {
        let left: Vec<_> = ["up", "server", "agent"].map(|name| alpha.processes(program, name)).concat();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

/// Runs the app's program in a pod: without arguments it says how it is used, and ends with 2.
fn exec(kubectl: &Kubectl, pod: &str) -> Result<(), String> {
    let output = kubectl.try_run(&["-n", "sample", "exec", pod, "--", "/webserver"]);
    if output.code == 2 && output.stderr.contains("usage: webserver") {
        Ok(())
    } else {
        Err(format!("{output:?}"))
    }
}

/// Starts `keelson up` again: the same containers serve under the same names.
fn start_again(cluster: &TestCluster, alpha: &mut Machine, kubectl: &Kubectl) {
    alpha.start(&cluster.spec.program, &UP);
    eventually("the API", MINUTE, || kubectl.ask(&["get", "--raw", "/readyz"]));
    eventually("exec to work again", MINUTE, || exec(kubectl, "deployment/backend"));
    // The page asks by name.
    assert!(page(cluster, 1).contains("&quot;pod&quot;"), "services and names work");
}

#[test]
fn a_machine_by_up_and_a_second_by_token() {
    let cluster = TestCluster::prepared("host", 2);
    let program = cluster.spec.program.clone();
    let mut alpha = Machine::boot(&cluster, 1, "alpha");
    let mut beta = Machine::boot(&cluster, 2, "beta");
    start_where_the_port_is_taken(&mut beta, &program);
    nothing_runs_yet(&mut alpha, &program);
    alpha.start(&program, &UP);
    let kubectl = kubectl(&cluster, &alpha);
    wait_ready(&kubectl, "alpha");
    import_all(&cluster, &alpha);
    images_without_a_name(&cluster, &alpha);
    deploy(&kubectl);
    assert_spread(&cluster, 1, 3);
    a_second_up(&alpha, &program);

    is_given_up(&beta, &program);
    let token = alpha.run(&program, &["token"]).unwrap();
    let server = format!("https://{}:6443", cluster.names.node_ip(1));
    beta.start(&program, &["agent", "--server", &server, "--token", &token]);
    wait_ready(&kubectl, "beta");
    import_all(&cluster, &beta);
    // The pods of now stay where they are; the new ones find room on the second machine.
    kubectl.run(&["-n", "sample", "scale", "deployment/backend", "--replicas=6"]);
    kubectl.run(&["-n", "sample", "rollout", "status", "deployment/backend", "--timeout=60s"]);
    let nodes = kubectl.run(&["-n", "sample", "get", "pods", "-o=jsonpath={.items[*].spec.nodeName}"]);
    assert_says(&nodes, &["alpha", "beta"]);
    assert_spread(&cluster, 1, 6);
    assert_spread(&cluster, 2, 6);

    let before = containers(&kubectl).unwrap();
    let node_port = format!("http://{}:30080/healthz", cluster.names.node_ip(1));
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        end_up(&cluster, &alpha, signal);
        let answer = eventually("the NodePort", MINUTE, || http_get(&cluster, "client", &node_port));
        assert_eq!(answer, "ok\n", "pods and services go on");
        start_again(&cluster, &mut alpha, &kubectl);
        assert_untouched(&kubectl, &before);
    }
    // A node that has joined needs no token.
    let [agent] = beta.processes(&program, "agent")[..] else { panic!("one agent runs") };
    kill(Pid::from_raw(agent), Signal::SIGTERM).unwrap();
    eventually("the agent to end", MINUTE, || {
        if beta.processes(&program, "agent").is_empty() { Ok(()) } else { Err("it runs".to_owned()) }
    });
    beta.start(&program, &["agent", "--server", &server]);
    eventually("exec on the second machine", MINUTE, || {
        let path = "-o=jsonpath={.items[?(@.spec.nodeName==\"beta\")].metadata.name}";
        let pods = kubectl.ask(&["-n", "sample", "get", "pods", "-l", "app=backend", path])?;
        exec(&kubectl, pods.split(' ').next().unwrap_or_default())
    });
    assert_untouched(&kubectl, &before);
    end_up(&cluster, &alpha, Signal::SIGTERM);
    cluster.finish_with([alpha, beta]);
}

/// Another server has the port of the one that `keelson up` starts.
fn start_where_the_port_is_taken(beta: &mut Machine, program: &Path) {
    beta.start(program, &["server", "--state", "/run/other"]);
    eventually("the other server to serve", MINUTE, || {
        let said = beta.said();
        if said.contains("the control plane serves") { Ok(()) } else { Err(said) }
    });
    beta.start(program, &UP);
}

/// What cannot run is not tried for ever: `keelson up` ends, says why, and takes along what did run.
fn is_given_up(beta: &Machine, program: &Path) {
    eventually("up to give up", MINUTE, || {
        let left = [beta.processes(program, "up"), beta.processes(program, "agent")].concat();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}: {}", beta.said())) }
    });
    assert_says(&beta.said(), &["0.0.0.0:6443: the port is in use", "error: the server does not start"]);
    let [other] = beta.processes(program, "server")[..] else { panic!("only the other server runs") };
    kill(Pid::from_raw(other), Signal::SIGTERM).unwrap();
    let left = ["/etc/keelson", "/var/lib/keelson", "/run/keelson", "/run/other"];
    beta.run(Path::new("/bin/rm"), &[&["-rf"], &left[..]].concat()).unwrap();
}

/// What is said to one who has not started it yet.
fn nothing_runs_yet(alpha: &mut Machine, program: &Path) {
    let says = |args: &[&str], words: &[&str]| assert_says(&fails(&mut alpha.command(program, args)), words);
    let file = images::dir().join("busybox.tar").display().to_string();
    says(&["image", "import", &file], &["nothing serves at /run/keelson", "keelson up"]);
    says(&["token"], &["no join token below /var/lib/keelson", "--state"]);
    says(&["agent"], &["/etc/keelson/agent.yaml does not exist", "--server URL and --token TOKEN"]);
    let server = "https://127.0.0.1:1";
    let token = format!("K10{}::abc123.0123456789abcdef", "0".repeat(64));
    says(&["agent", "--server", server], &["there is no join token"]);
    says(&["agent", "--server", server, "--token", "abc"], &["the join token is malformed"]);
    says(&["agent", "--server", "127.0.0.1", "--token", &token], &["https://HOST:PORT"]);
    for (file, cure) in
        [("/etc/hosts", "127.0.0.1 localhost"), ("/etc/resolv.conf", "touch /etc/resolv.conf")]
    {
        alpha.run(Path::new("/bin/mv"), &[file, "/etc/away"]).unwrap();
        says(&["agent", "--server", "https://127.0.0.1:1"], &[&format!("there is no {file}"), cure]);
        alpha.run(Path::new("/bin/mv"), &["/etc/away", file]).unwrap();
    }
    waits_for_its_server(alpha, program, &["agent", "--server", server, "--token", &token]);
}

/// A node without a server waits, says so, can be ended, and leaves no runtime behind.
fn waits_for_its_server(alpha: &mut Machine, program: &Path, args: &[&str]) {
    alpha.start(program, args);
    eventually("a node that waits to say so", MINUTE, || {
        let said = alpha.said();
        if said.contains("cannot join yet") && said.contains(args[2]) { Ok(()) } else { Err(said) }
    });
    let containerd = Path::new("/usr/bin/containerd");
    assert_eq!(alpha.processes(containerd, "--config").len(), 1, "its runtime is there already");
    let [agent] = alpha.processes(program, "agent")[..] else { panic!("one agent runs") };
    kill(Pid::from_raw(agent), Signal::SIGTERM).unwrap();
    eventually("the agent and its runtime to end", MINUTE, || {
        let left = [alpha.processes(program, "agent"), alpha.processes(containerd, "--config")].concat();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    alpha.run(Path::new("/bin/rm"), &["-rf", "/var/lib/keelson", "/run/keelson"]).unwrap();
}

/// A second one does not disturb the first, and says what is the matter.
fn a_second_up(alpha: &Machine, program: &Path) {
    let says = |args: &[&str], words: &[&str]| assert_says(&fails(&mut alpha.command(program, args)), words);
    says(&["up"], &["another keelson up has /var/lib/keelson"]);
    says(&["up", "--datapath", "iptables"], &["--datapath is iptables", "agent.yaml is auto"]);
    says(&["server"], &["6443", "in use"]);
}

/// An archive whose image has no name is refused with what to do, and taken with a name.
fn images_without_a_name(cluster: &TestCluster, alpha: &Machine) {
    let archive = nameless(cluster).display().to_string();
    let import = |more: &[&str]| {
        let args = [&["image", "import", &archive], more].concat();
        alpha.run(&cluster.spec.program, &args)
    };
    assert_says(&import(&[]).unwrap_err(), &["no image with a name", "--name example.org/app:1"]);
    assert_eq!(import(&["--name", "example.org/mine:1"]).as_deref(), Ok("example.org/mine:1"));
    let ctr = [
        "--address",
        "/run/keelson/containerd/containerd.sock",
        "--namespace",
        "k8s.io",
        "images",
        "ls",
        "-q",
    ];
    let all = alpha.run(Path::new("/usr/bin/ctr"), &ctr).unwrap();
    assert!(all.lines().any(|name| name == "example.org/mine:1"), "{all}");
    assert!(!all.contains("import"), "no name of the import's own is left: {all}");
}

/// The busybox image without the note of its name.
fn nameless(cluster: &TestCluster) -> PathBuf {
    let dir = cluster.names.state().join("nameless");
    std::fs::create_dir_all(&dir).unwrap();
    let image = images::dir().join("busybox.tar");
    xtask::run::sh(&format!("tar -xf {} -C {}", image.display(), dir.display())).unwrap();
    let index = dir.join("index.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    json["manifests"][0].as_object_mut().unwrap().remove("annotations").unwrap();
    std::fs::write(&index, json.to_string()).unwrap();
    let archive = cluster.names.state().join("nameless.tar");
    let names = "oci-layout index.json blobs";
    xtask::run::sh(&format!("tar -cf {} -C {} {names}", archive.display(), dir.display())).unwrap();
    // The machine sees nothing below its own /var/lib of what is below this one's.
    let seen = cluster.names.state().join("alpha/lib/nameless.tar");
    std::fs::copy(&archive, seen).unwrap();
    PathBuf::from("/var/lib/nameless.tar")
}
