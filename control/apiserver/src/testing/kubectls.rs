//! Real kubectl, the oldest and the newest that the machine has: what they send differs (OpenAPI v2 or v3, JSON
//! or protobuf bodies, forms of discovery), and all of it must be understood.

use super::Server;
use crate::serve::{self, tls::ServerCertificate};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

const APP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: app}
data: {a: b}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec: {containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: a}, ports: [{port: 80}]}
";

/// The kubectls beside the one on the PATH, named `kubectl.MAJOR.MINOR`, oldest first; else the one itself.
fn kubectls() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file());
    let found = found.expect("kubectl 1.27 or newer is on the PATH").canonicalize().unwrap();
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(found.parent().expect("a folder"))
        .unwrap()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let minor = path.file_name()?.to_str()?.strip_prefix("kubectl.1.")?.parse().ok()?;
            Some((minor, path))
        })
        .collect();
    versions.sort();
    match (versions.first(), versions.last()) {
        (Some((_, oldest)), Some((_, newest))) => vec![oldest.clone(), newest.clone()],
        _ => vec![found],
    }
}

/// A server with a kubeconfig in a folder of its own.
struct Cluster {
    folder: tempfile::TempDir,
    kubectl: PathBuf,
}

impl Cluster {
    async fn start(server: &Server, kubectl: &Path) -> Cluster {
        let listener = serve::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (pem, key) = server.ca.issue("kube-apiserver", &[]);
        let certificate = ServerCertificate::from_pem(pem.as_bytes(), key.as_bytes()).unwrap();
        let api = server.api.clone();
        tokio::spawn(async move { api.serve_tls(listener, certificate).await });
        let (admin, key) = server.ca.issue("boss", &["system:masters"]);
        let data = |text: &str| STANDARD.encode(text);
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "t",
            "clusters": [{"name": "t", "cluster": {
                "server": format!("https://{address}"),
                "certificate-authority-data": data(&server.ca.certificate.pem()),
            }}],
            "users": [{"name": "u", "user": {
                "client-certificate-data": data(&admin), "client-key-data": data(&key),
            }}],
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "u", "namespace": "t"}}],
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        std::fs::write(folder.path().join("app.yaml"), APP).unwrap();
        Cluster { folder, kubectl: kubectl.to_owned() }
    }

    /// Runs kubectl; it must succeed and print `want`.
    async fn run(&self, arguments: &str, want: &str) {
        let output = Command::new(&self.kubectl)
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let command = format!("{} {arguments}", self.kubectl.display());
        assert!(output.status.success() && out.contains(want), "{command}\n{out}\n{err}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_works() {
    for kubectl in kubectls() {
        let server = Server::start().await;
        let cluster = Cluster::start(&server, &kubectl).await;
        for (arguments, want) in [
            ("apply -f app.yaml", "deployment.apps/app created"),
            ("apply -f app.yaml", "service/app unchanged"),
            ("apply --server-side --force-conflicts -f app.yaml", "service/app serverside-applied"),
            ("get all -o wide", "nginx"),
            ("scale deploy app --replicas 5", "scaled"),
            ("set image deploy/app c=nginx:2", "image updated"),
            ("patch cm app -p {\"data\":{\"z\":\"1\"}}", "patched"),
            ("label cm app x=y", "labeled"),
            ("get cm -l x=y -o jsonpath={.items[0].data.z}", "1"),
            ("create ns other", "created"),
            ("create sa builder", "created"),
            ("create deployment made --image=i", "created"),
            ("create token builder", "."),
            ("auth can-i create pods", "yes"),
            ("run pod --image=i", "pod/pod created"),
            ("describe pod pod", "kube-api-access-"),
            ("explain deployment.spec.replicas", "replicas"),
            ("delete pod pod", "deleted"),
            ("delete -f app.yaml", "service \"app\" deleted"),
        ] {
            cluster.run(arguments, want).await;
        }
    }
}
