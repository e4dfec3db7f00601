//! Bad input: each gets a message that names what is wrong, nothing is lost, nothing panics.

use crate::harness::{Kubectl, TestCluster};
use std::process::{Command, Stdio};

/// Runs the binary with a configuration file of this text; what it said on stderr, and that it failed.
fn refused(cluster: &TestCluster, arguments: &[&str], config: &str) -> String {
    let file = cluster.names.state().join("bad.yaml");
    std::fs::write(&file, config).unwrap();
    let output = Command::new(&cluster.spec.program)
        .args(arguments)
        .arg("--config")
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

#[test]
fn is_refused_in_words() {
    let cluster = TestCluster::up("bad-input", 1, "auto");
    let kubectl = cluster.kubectl(33);
    configuration(&cluster);
    bodies(&kubectl);
    permissions(&kubectl);
    cluster.finish();
}

fn configuration(cluster: &TestCluster) {
    let head = "apiVersion: keelson.dev/v1alpha1\nkind: ";
    let agent = format!("{head}AgentConfig\nserver: https://127.0.0.1:1\n");
    assert_says(&refused(cluster, &["agent"], &format!("{agent}nodeNmae: a\n")), &["nodeNmae", "bad.yaml"]);
    assert_says(&refused(cluster, &["agent"], "kind: [\n"), &["bad.yaml"]);
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
    assert_says(&refused(cluster, &["server"], ""), &["apiVersion"]);
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

fn permissions(kubectl: &Kubectl) {
    kubectl.run(&["create", "serviceaccount", "nobody"]);
    let token = kubectl.run(&["create", "token", "nobody"]);
    let denied = kubectl.try_run(&["--token", token.trim(), "auth", "whoami"]);
    // The administrator's certificate comes first: ask as the account by impersonation-free means.
    drop(denied);
    let cannot =
        kubectl.try_run(&["auth", "can-i", "list", "pods", "--as=system:serviceaccount:default:nobody"]);
    assert_eq!(cannot.stdout.trim(), "no", "{cannot:?}");
    let forbidden = kubectl.try_run(&["get", "pods", "--as=system:serviceaccount:default:nobody"]);
    assert_says(&forbidden.stderr, &["cannot list resource \"pods\"", "namespace \"default\""]);
}
