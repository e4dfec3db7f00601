//! What a pod gets to read: variables and files, and that files stay fresh.

use super::{MINUTE, expect, field, ready};
use crate::harness::{TestCluster, eventually};

pub(super) fn config_map(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(33);
    kubectl.apply(
        r#"
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { colour: red }
---
apiVersion: v1
kind: Pod
metadata: { name: reader }
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{ name: settings, configMap: { name: settings } }]
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
      volumeMounts: [{ name: settings, mountPath: /settings }]
"#,
    );
    ready(kubectl, "reader");
    let read = || kubectl.ask(&["exec", "reader", "--", "cat", "/settings/colour"]);
    assert_eq!(read().unwrap(), "red");
    kubectl.run(&["patch", "configmap", "settings", "-p", r#"{"data":{"colour":"blue"}}"#]);
    eventually("the new value", MINUTE, || {
        let found = read()?;
        if found == "blue" { Ok(()) } else { Err(found) }
    });
    kubectl.run(&["delete", "pod/reader", "configmap/settings", "--timeout=30s"]);
}

pub(super) fn environment(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(33);
    kubectl.apply(
        r#"
apiVersion: v1
kind: ConfigMap
metadata: { name: env }
data: { one: "1", TWO: two }
---
apiVersion: v1
kind: Secret
metadata: { name: env }
stringData: { word: open sesame }
---
apiVersion: v1
kind: Pod
metadata: { name: speaker, labels: { app: speaker } }
spec:
  restartPolicy: Never
  containers:
    - name: c
      image: keelson.dev/busybox:1
      command: [sh, -c, "env | sort; echo '$(GREETING)'"]
      resources: { limits: { cpu: 500m } }
      envFrom:
        - { prefix: CM_, configMapRef: { name: env } }
        - { secretRef: { name: env } }
      env:
        - { name: WHO, value: world }
        - { name: GREETING, value: "hello $(WHO) $$(WHO) $(NOBODY)" }
        - { name: KEY, valueFrom: { configMapKeyRef: { name: env, key: one } } }
        - { name: WORD, valueFrom: { secretKeyRef: { name: env, key: word } } }
        - { name: NONE, valueFrom: { secretKeyRef: { name: env, key: none, optional: true } } }
        - { name: NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
        - { name: LABEL, valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } }
        - { name: NODE, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
        - { name: ADDRESS, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
        - { name: MILLI, valueFrom: { resourceFieldRef: { resource: limits.cpu, divisor: 1m } } }
"#,
    );
    expect(kubectl, "pod/speaker", ".status.phase", "Succeeded", MINUTE);
    let log = kubectl.run(&["logs", "speaker"]);
    let lines: Vec<&str> = log.lines().collect();
    let address = field(kubectl, "pod/speaker", ".status.podIP").unwrap();
    let address = format!("ADDRESS={address}");
    for line in [
        "CM_one=1",
        "CM_TWO=two",
        "word=open sesame",
        "GREETING=hello world $(WHO) $(NOBODY)",
        "KEY=1",
        "WORD=open sesame",
        "NAME=speaker",
        "LABEL=speaker",
        "NODE=node1",
        &address,
        "MILLI=500",
        "KUBERNETES_SERVICE_HOST=10.96.0.1",
        "KUBERNETES_SERVICE_PORT=443",
        "hello world $(WHO) $(NOBODY)",
    ] {
        assert!(lines.contains(&line), "{line:?} is not in {log}");
    }
    assert!(!log.contains("NONE="), "{log}");
    kubectl.run(&["delete", "pod/speaker", "configmap/env", "secret/env", "--timeout=30s"]);
}

pub(super) fn every_kind(cluster: &TestCluster) {
    let kubectl = &cluster.kubectl(33);
    let host = cluster.names.state().join("host-folder");
    kubectl.apply(&FOLDERS.replace("HOST", &host.display().to_string()));
    ready(kubectl, "folders");
    let run = |line: &str| kubectl.ask(&["exec", "folders", "-c", "a", "--", "sh", "-c", line]);
    let becomes = |line: &str, wanted: &str| {
        eventually(line, MINUTE, || {
            let found = run(line)?;
            if found == wanted { Ok(()) } else { Err(found) }
        });
    };
    assert_eq!(run("cat /secret/word; stat -Lc %a /secret/word"), Ok("open sesame400".to_owned()));
    kubectl.run(&["patch", "secret", "words", "-p", r#"{"stringData":{"word":"shut","more":"m"}}"#]);
    becomes("cat /secret/word /secret/more", "shutm");
    assert_eq!(run("cat /all/labels"), Ok("app=\"folders\"".to_owned()));
    kubectl.run(&["label", "pod/folders", "colour=red"]);
    becomes("cat /all/labels", "app=\"folders\"\ncolour=\"red\"");
    // What one container writes the other reads, in memory and on disk; the host sees its own folder.
    run("echo disk > /disk/f; echo memory > /memory/f; echo host > /host/f").unwrap();
    let other = kubectl.ask(&["exec", "folders", "-c", "b", "--", "cat", "/disk/f", "/memory/f", "/host/f"]);
    assert_eq!(other, Ok("disk\nmemory\nhost".to_owned()));
    assert_eq!(run("grep -c ' /memory tmpfs ' /proc/mounts"), Ok("1".to_owned()));
    assert_eq!(std::fs::read_to_string(host.join("f")).unwrap(), "host\n");
    // The token is the account's, and dies with the pod that it is bound to.
    let token = run("cat /var/run/secrets/kubernetes.io/serviceaccount/token").unwrap();
    let account = cluster.kubectl_with_token(33, &token);
    let who = || account.try_run(&["auth", "whoami", "-o=jsonpath={.status.userInfo.username}"]);
    assert_eq!(who().stdout, "system:serviceaccount:default:default");
    let ours = run("cat /all/ours").unwrap();
    assert_ne!(ours, token, "another audience, another token");
    let refused = cluster.kubectl_with_token(33, &ours).try_run(&["get", "--raw", "/api"]);
    assert!(refused.stderr.contains("Unauthorized"), "a token for others is none for the API: {refused:?}");

    let uid = field(kubectl, "pod/folders", ".metadata.uid").unwrap();
    let folder = cluster.names.node_dir(1).join("kubelet/pods").join(uid);
    assert!(folder.exists());
    kubectl.run(&["delete", "pod/folders", "secret/words", "--timeout=30s"]);
    eventually("the pod's folder to go", MINUTE, || {
        if folder.exists() { Err(folder.display().to_string()) } else { Ok(()) }
    });
    assert_eq!(std::fs::read_to_string(host.join("f")).unwrap(), "host\n", "the host's folder stays");
    eventually("the token to be void", MINUTE, || {
        let output = account.try_run(&["auth", "whoami"]);
        if output.stderr.contains("Unauthorized") { Ok(()) } else { Err(format!("{output:?}")) }
    });
}

const FOLDERS: &str = r#"
apiVersion: v1
kind: Secret
metadata: { name: words }
stringData: { word: open sesame }
---
apiVersion: v1
kind: Pod
metadata: { name: folders, labels: { app: folders } }
spec:
  terminationGracePeriodSeconds: 0
  volumes:
    - { name: secret, secret: { secretName: words, defaultMode: 0400 } }
    - { name: disk, emptyDir: {} }
    - { name: memory, emptyDir: { medium: Memory } }
    - { name: host, hostPath: { path: HOST, type: DirectoryOrCreate } }
    - name: all
      projected:
        sources:
          - serviceAccountToken: { path: ours, audience: ours, expirationSeconds: 600 }
          - downwardAPI: { items: [{ path: labels, fieldRef: { fieldPath: metadata.labels } }] }
  containers:
    - name: a
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
      volumeMounts:
        - { name: secret, mountPath: /secret }
        - { name: all, mountPath: /all }
        - { name: disk, mountPath: /disk }
        - { name: memory, mountPath: /memory }
        - { name: host, mountPath: /host }
    - name: b
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
      volumeMounts:
        - { name: disk, mountPath: /disk }
        - { name: memory, mountPath: /memory }
        - { name: host, mountPath: /host }
"#;
