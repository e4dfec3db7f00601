//! Bad input: each gets a message that names what is wrong, nothing is lost, nothing panics.

use super::app::MINUTE;
use crate::harness::{Kubectl, TestCluster, eventually, send_to_api};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nix::sys::signal::Signal;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xtask::cluster::in_netns;

/// Whoever has no rights on a machine.
const NOBODY: u32 = 65_534;

/// Writes a configuration file.
fn config_file(cluster: &TestCluster, text: &str) -> std::path::PathBuf {
    let file = cluster.names.state().join("bad.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

/// Runs a command that must fail, soon and without a panic; what it said on stderr.
pub(super) fn fails(command: &mut Command) -> String {
    ends_with(1, command)
}

/// The same for one whose arguments make no sense.
fn is_misused(cluster: &TestCluster, arguments: &[&str]) -> String {
    ends_with(2, Command::new(&cluster.spec.program).args(arguments))
}

fn ends_with(code: i32, command: &mut Command) -> String {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    let (ended, end) = std::sync::mpsc::channel();
    let guard = std::thread::spawn(move || {
        if end.recv_timeout(MINUTE).is_err() {
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    let _ = ended.send(());
    guard.join().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

/// Runs the binary with a configuration file of this text.
fn refused(cluster: &TestCluster, arguments: &[&str], config: &str) -> String {
    let file = config_file(cluster, config);
    fails(Command::new(&cluster.spec.program).args(arguments).arg("--config").arg(&file))
}

pub(super) fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

#[test]
fn is_refused_in_words() {
    let cluster = TestCluster::up("bad-input", 1, "auto");
    let kubectl = cluster.kubectl(33);
    configuration(&cluster);
    arguments(&cluster);
    bodies(&kubectl);
    conflicts(&kubectl);
    yaml(&cluster);
    permissions(&kubectl);
    tokens(&cluster);
    machines(&cluster);
    kubectl.run(&["get", "--raw", "/readyz"]);
    cluster.finish();
}

fn configuration(cluster: &TestCluster) {
    let head = "apiVersion: keelson.dev/v1alpha1\nkind: ";
    let agent = format!("{head}AgentConfig\nserver: https://127.0.0.1:1\n");
    let typo = refused(cluster, &["agent"], &format!("{agent}nodeNmae: a\n"));
    assert_says(&typo, &["bad.yaml: unknown key \"nodeNmae\"; did you mean \"nodeName\"?"]);
    let odd = refused(cluster, &["agent"], &format!("{agent}datapath: ebfp\n"));
    assert_says(&odd, &["bad.yaml: datapath: ", "`ebfp`", "`ebpf`"]);
    let broken = refused(cluster, &["agent"], "kind: [\n");
    assert_says(&broken, &["bad.yaml: ", "line "]);
    assert_eq!(broken.lines().count(), 1, "{broken}");
    let server = format!("{head}ServerConfig\n");
    assert_says(
        &refused(cluster, &["server"], &format!("{server}stateDri: /tmp\n")),
        &["stateDri", "bad.yaml"],
    );
    let other = cluster.names.state().join("other");
    let taken = format!(
        "{server}stateDir: {}\nbindAddress: {ip}\nadvertiseAddress: {ip}\nsecurePort: {port}\nadminKubeconfig: {}\n",
        other.display(),
        other.join("kubeconfig").display(),
        ip = "127.0.0.1",
        port = 22_222,
    );
    let _listener = std::net::TcpListener::bind("127.0.0.1:22222").unwrap();
    assert_says(&refused(cluster, &["server"], &taken), &["22222", "in use"]);
    assert_says(&refused(cluster, &["server"], "securePort: 1\n"), &["apiVersion", "bad.yaml"]);
    assert_says(&refused(cluster, &["agent"], ""), &["bad.yaml: server is missing", "https://"]);
    let missing = Path::new("/nonexistent/agent.yaml");
    let output = fails(Command::new(&cluster.spec.program).arg("agent").arg("--config").arg(missing));
    assert_says(&output, &["/nonexistent/agent.yaml", "No such file"]);
    assert_eq!(output.matches("No such file").count(), 1, "a cause is said once: {output}");
}

/// What is typed wrongly, and what the environment adds to it.
fn arguments(cluster: &TestCluster) {
    assert_says(&is_misused(cluster, &["upp"]), &["'upp'", "'up'"]);
    assert_says(&is_misused(cluster, &["up", "--datpath", "ebpf"]), &["'--datpath'", "'--datapath"]);
    assert_says(&is_misused(cluster, &["up", "--datapath", "ebfp"]), &["'ebfp'", "auto, ebpf, iptables"]);
    assert_says(&is_misused(cluster, &["image", "import"]), &["<FILE>"]);
    let both = ["agent", "--server", "https://127.0.0.1:1", "--config", "a.yaml"];
    assert_says(&is_misused(cluster, &both), &["--server <URL>", "--config <FILE>"]);
    // A token in the environment does not stand in the way of a configuration file.
    let mut with_token = Command::new(&cluster.spec.program);
    with_token.args(["agent", "--config", "/nonexistent"]).env("KEELSON_TOKEN", "x");
    assert_says(&fails(&mut with_token), &["cannot read /nonexistent"]);
    let here = cluster.names.server_dir().display().to_string();
    let token = Command::new(&cluster.spec.program).args(["token", "--state", &here]).output().unwrap();
    assert_says(&String::from_utf8_lossy(&token.stdout), &["K10", "::"]);
    let nowhere = fails(Command::new(&cluster.spec.program).args(["token", "--state", "/nonexistent"]));
    assert_says(&nowhere, &["no join token below /nonexistent"]);
    let missing = ["image", "import", "/nonexistent.tar"];
    let missing = fails(Command::new(&cluster.spec.program).args(missing));
    assert_says(&missing, &["cannot read the image archive /nonexistent.tar: No such file"]);
}

fn bodies(kubectl: &Kubectl) {
    let path = "/api/v1/namespaces/default/configmaps";
    let create = |body: &str| {
        let output = kubectl.with_input(&["create", "--raw", path, "-f", "-"], body);
        assert_ne!(output.code, 0, "{output:?}");
        output.stderr
    };
    assert_says(&create("{"), &["unexpected end of JSON input"]);
    assert_says(
        &create(r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":1}}"#),
        &["cannot unmarshal number"],
    );
    let long =
        format!(r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"{}"}}}}"#, "a".repeat(300));
    assert_says(&create(&long), &["no more than 253"]);
    let huge = format!(
        r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"big"}},"data":{{"k":"{}"}}}}"#,
        "x".repeat(4 << 20)
    );
    assert_says(&create(&huge), &["limit is 3145728"]);
    let ok = kubectl.run(&["create", "configmap", "still-serving", "--from-literal=a=b"]);
    assert_says(&ok, &["created"]);
}

fn conflicts(kubectl: &Kubectl) {
    let again = kubectl.try_run(&["create", "configmap", "still-serving"]);
    assert_says(&again.stderr, &["configmaps \"still-serving\" already exists"]);
    let old = kubectl.run(&["get", "configmap", "still-serving", "-o", "json"]);
    kubectl.run(&["label", "configmap", "still-serving", "a=b"]);
    let late = kubectl.with_input(&["replace", "-f", "-"], &old);
    assert_says(&late.stderr, &["Conflict", "the object has been modified"]);
}

/// YAML that kubectl would not even send, and texts that are small and mean much.
fn yaml(cluster: &TestCluster) {
    let path = "/api/v1/namespaces/default/configmaps";
    let apply = format!("{path}/a?fieldManager=tests");
    let check = |body: &str, words: &[&str]| {
        for (method, path, content_type) in
            [("POST", path, "application/yaml"), ("PATCH", apply.as_str(), "application/apply-patch+yaml")]
        {
            let begun = Instant::now();
            let (code, status) = send_to_api(cluster, method, path, content_type, body);
            assert_eq!((code, &status["kind"]), (400, &Value::from("Status")), "{method}: {status}");
            assert_says(status["message"].as_str().unwrap(), words);
            assert!(begun.elapsed() < Duration::from_secs(5), "{method} took {:?}", begun.elapsed());
        }
    };
    check("kind: ConfigMap\n  apiVersion: [v1\n", &["error converting YAML to JSON", "line 2"]);
    check("a: *b\n", &["error converting YAML to JSON", "line 1", "unknown anchor"]);
    let laugh = |i: usize| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","));
    let laughs = "a0: &a0 [lol]\n".to_owned() + &(1..10).map(laugh).collect::<String>();
    check(&laughs, &["aliases repeat more than"]);
    check(&format!("a: {}a\n", "- ".repeat(1_000_000)), &["error converting YAML to JSON", "line 1"]);
    check(&format!("a:\n {}a\n", "- ".repeat(1_000_000)), &["nested more than 64 levels deep"]);
    check(&format!("{}a\n", "? ".repeat(60)), &["a mapping's key must be"]);
    let good = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: yaml}\ndata: {a: &a b, c: *a}\n";
    let (code, made) = send_to_api(cluster, "POST", path, "application/yaml", good);
    assert_eq!((code, &made["data"]), (201, &json!({"a": "b", "c": "b"})), "{made}");
}

fn permissions(kubectl: &Kubectl) {
    kubectl.run(&["create", "serviceaccount", "nobody"]);
    let cannot =
        kubectl.try_run(&["auth", "can-i", "list", "pods", "--as=system:serviceaccount:default:nobody"]);
    assert_eq!(cannot.stdout.trim(), "no", "{cannot:?}");
    let forbidden = kubectl.try_run(&["get", "pods", "--as=system:serviceaccount:default:nobody"]);
    assert_says(&forbidden.stderr, &["cannot list resource \"pods\"", "namespace \"default\""]);
}

fn tokens(cluster: &TestCluster) {
    let admin = cluster.kubectl(33);
    let token = admin.run(&["create", "token", "nobody"]);
    let whoami = |token: &str| cluster.kubectl_with_token(33, token).try_run(&["auth", "whoami"]);
    let valid = whoami(&token);
    assert_says(&valid.stdout, &["system:serviceaccount:default:nobody"]);
    let denied = cluster.kubectl_with_token(33, &token).try_run(&["get", "pods"]);
    assert_says(&denied.stderr, &["Forbidden", "cannot list resource \"pods\""]);

    // Signed as the server itself would, once with the time as it is and once two hours late.
    let key = cluster.names.server_dir().join("pki/sa.key");
    let same = signed_again(&key, token.trim(), 0);
    assert_says(&whoami(&same).stdout, &["system:serviceaccount:default:nobody"]);
    let expired = signed_again(&key, token.trim(), 7200);
    assert_says(&whoami(&expired).stderr, &["Unauthorized"]);
    let mut forged = token.trim().to_owned();
    let last = if forged.ends_with("AA") { "BB" } else { "AA" };
    forged.replace_range(forged.len() - 2.., last);
    for bad in [forged.as_str(), "nonsense", "a.b.c", &"x".repeat(5000)] {
        assert_says(&whoami(bad).stderr, &["Unauthorized"]);
    }
    admin.run(&["delete", "serviceaccount", "nobody"]);
    eventually("the account's token to be void", MINUTE, || {
        let output = whoami(&token);
        if output.stderr.contains("Unauthorized") { Ok(()) } else { Err(format!("{output:?}")) }
    });
}

/// The same token as of `seconds` ago.
fn signed_again(key: &Path, token: &str, seconds: i64) -> String {
    let [header, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { panic!("no JWT: {token}") };
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    for time in ["exp", "iat", "nbf"] {
        claims[time] = (claims[time].as_i64().unwrap() - seconds).into();
    }
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let pem = std::fs::read_to_string(key).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let random = SystemRandom::new();
    let der = STANDARD.decode(der).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random).unwrap();
    let signature = key.sign(&random, signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Machines that cannot be what they are asked to be.
fn machines(cluster: &TestCluster) {
    let program = &cluster.spec.program;
    let own = cluster.names.node_dir(1).join("agent.yaml");
    // A second agent of a node.
    let mut second = in_netns(&cluster.names.netns_path("node1"), program);
    assert_says(&fails(second.arg("agent").arg("--config").arg(&own)), &["port 10250 is in use"]);

    let config = std::fs::read_to_string(&own).unwrap() + "kubeletPort: 10251\n";
    let file = config_file(cluster, &config);
    // Where the build lies may be closed to others.
    let open_to_all = cluster.names.state().join("keelson");
    std::fs::copy(program, &open_to_all).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(&open_to_all);
        command.args(arguments).uid(NOBODY).gid(NOBODY);
        command
    };
    let file_name = file.display().to_string();
    assert_says(&fails(&mut as_nobody(&["agent", "--config", &file_name])), &["must run as root"]);
    assert_says(&fails(&mut as_nobody(&["up"])), &["must run as root"]);
    let state = cluster.names.state().join("not-theirs").display().to_string();
    let server = ["server", "--state", &state, "--bind-address", "127.0.0.1", "--secure-port", "22223"];
    assert_says(&fails(&mut as_nobody(&server)), &["not-theirs", "ermission denied"]);

    // In a mount namespace of its own nothing of this reaches the machine.
    let without = |mount: &str, config: &str| {
        let file = config_file(cluster, config);
        let script = format!("umount -l -R {mount} && exec \"$@\"");
        let netns = cluster.names.netns_path("node1");
        let mut command = in_netns(&netns, Path::new("/usr/bin/unshare"));
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
        fails(command.arg(program).arg("agent").arg("--config").arg(file))
    };
    assert_says(&without("/sys/fs/cgroup", &config), &["no cgroups are mounted", "mount -t cgroup2"]);
    let pins = cluster.names.node_dir(1).join("bpf").display().to_string();
    let forced = config.replace("datapath: auto", "datapath: ebpf");
    assert_says(&without(&pins, &forced), &[&pins, "BPF file system", "mount -t bpf"]);
}
