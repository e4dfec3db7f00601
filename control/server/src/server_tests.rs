use super::*;
use keelson_api::resource::Resource;
use keelson_client::{Client, ListParams, Transport};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use tempfile::TempDir;

/// A whole server in a folder of its own, on a port of its own.
struct Rig {
    dir: TempDir,
    config: ServerConfig,
    server: Option<Server>,
}

/// A port that is free, and below those that the kernel gives to whoever calls: it is free after a restart, too.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let port =
            24_000 + (std::process::id() % 50) as u16 * 100 + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn config(dir: &Path) -> ServerConfig {
    ServerConfig {
        state_dir: dir.join("state"),
        bind_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        secure_port: free_port(),
        admin_kubeconfig: dir.join("admin.kubeconfig"),
        ..ServerConfig::default()
    }
}

impl Rig {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let server = Server::start(config.clone()).await.unwrap();
        Self { dir, config, server: Some(server) }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    async fn restart(&mut self) {
        self.stop().await;
        self.server = Some(Server::start(self.config.clone()).await.unwrap());
    }

    async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
    }

    fn client(&self, user: &str) -> Client {
        self.server().client(UserInfo::component(user), "test")
    }

    fn admin(&self) -> Client {
        self.server().client(bootstrap::identity(), "test")
    }

    async fn text(&self, path: &str) -> (u16, String) {
        let caller = InProcess::new(self.server().router(), bootstrap::identity());
        let reply = caller.call(http::Request::get(path).body(bytes::Bytes::new()).unwrap()).await.unwrap();
        let code = reply.status().as_u16();
        let body = http_body_util::BodyExt::collect(reply.into_body()).await.unwrap().to_bytes();
        (code, String::from_utf8_lossy(&body).into_owned())
    }

    /// Waits for `/readyz` to say this.
    async fn ready(&self, query: &str, want: &str) {
        let begin = Instant::now();
        loop {
            let answer = self.text(&format!("/readyz{query}")).await;
            if answer.1 == want {
                return;
            }
            assert!(begin.elapsed().as_secs() < 30, "{answer:?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn kubectl(&self, version: &str, arguments: &str, input: &str) -> Output {
        let mut command = Command::new(kubectl(version));
        command.arg("--kubeconfig").arg(&self.config.admin_kubeconfig).args(arguments.split_whitespace());
        command.env("HOME", self.dir.path()).env_remove("KUBECONFIG");
        let file = self.dir.path().join("stdin");
        std::fs::write(&file, input).unwrap();
        command.stdin(std::fs::File::open(&file).unwrap());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Runs kubectl and wants it to succeed.
    async fn ok(&self, version: &str, arguments: &str, input: &str) -> String {
        let output = self.kubectl(version, arguments, input).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {version} {arguments}: {out}{err}");
        out.into_owned()
    }
}

/// `kubectl.<version>` beside the kubectl on the PATH, else that one itself.
fn kubectl(version: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join("kubectl"))
        .find(|candidate| candidate.exists())
        .expect("kubectl 1.27 or later is needed on the PATH");
    let versioned = std::fs::canonicalize(&found).unwrap().with_file_name(format!("kubectl.{version}"));
    if versioned.exists() { versioned } else { found }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_kubectl() {
    let mut rig = Rig::start().await;
    for version in ["1.30", "1.33"] {
        let namespaces = rig.ok(version, "get ns", "").await;
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            assert!(namespaces.contains(name), "{namespaces}");
        }
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: colours\ndata:\n  sky: blue\n";
        let applied = rig.ok(version, "apply -f -", map).await;
        assert!(applied.starts_with("configmap/colours "), "{applied}");
        assert_eq!(rig.ok(version, "get cm colours -o jsonpath={.data.sky}", "").await, "blue");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_by_kubectl() {
    let mut rig = Rig::start().await;
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: robot\n  namespace: default\n";
    rig.ok("1.33", "apply -f -", account).await;
    for version in ["1.30", "1.33"] {
        let whoami = rig.ok(version, "auth whoami -o json", "").await;
        let whoami: Value = serde_json::from_str(&whoami).unwrap();
        assert_eq!(whoami["status"]["userInfo"]["username"], pki::ADMIN);
        assert_eq!(whoami["status"]["userInfo"]["groups"], json!(["system:masters", "system:authenticated"]));
        assert_eq!(rig.ok(version, "auth can-i delete nodes", "").await, "yes\n");
        let refused = rig.kubectl(version, "auth can-i delete nodes --as jane", "").await;
        assert_eq!(String::from_utf8_lossy(&refused.stdout), "no\n");
        let list = rig.ok(version, "auth can-i --list --as jane", "").await;
        assert!(list.contains("selfsubjectreviews.authentication.k8s.io"), "{list}");
        let forbidden = rig.kubectl(version, "get pods -n kube-system --as jane", "").await;
        assert_eq!(
            String::from_utf8_lossy(&forbidden.stderr),
            "Error from server (Forbidden): pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"kube-system\"\n"
        );
        let token = rig.ok(version, "create token robot --duration 10m", "").await;
        let short = rig.kubectl(version, "create token robot --duration 1m", "").await;
        assert!(
            String::from_utf8_lossy(&short.stderr)
                .contains("may not specify a duration less than 10 minutes")
        );
        as_token(&rig, version, token.trim()).await;
    }
    rig.stop().await;
}

/// What a token gives, and that it ends with its service account.
async fn as_token(rig: &Rig, version: &str, token: &str) {
    let path = rig.dir.path().join("token.kubeconfig");
    let admin = std::fs::read_to_string(&rig.config.admin_kubeconfig).unwrap();
    let user = admin.find("  user:\n    client-certificate-data").unwrap();
    std::fs::write(&path, format!("{}  user:\n    token: {token}\n", &admin[..user])).unwrap();
    let mut command = Command::new(kubectl(version));
    command.arg("--kubeconfig").arg(&path).args([
        "auth",
        "whoami",
        "-o",
        "jsonpath={.status.userInfo.username}",
    ]);
    command.env("HOME", rig.dir.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "system:serviceaccount:default:robot",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_has_its_objects() {
    let mut rig = Rig::start().await;
    let client = rig.admin();
    let service: Value = client.get(&Resource::SERVICES, "default", "kubernetes").await.unwrap();
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], rig.config.secure_port);
    assert_eq!(service["metadata"]["labels"], json!({"component": "apiserver", "provider": "kubernetes"}));
    let dns: Value = client.get(&Resource::SERVICES, "kube-system", "kube-dns").await.unwrap();
    assert_eq!(dns["spec"]["clusterIP"], "10.96.0.10");
    let roles = client.list_all::<Value>(&Resource::CLUSTER_ROLES, "", &ListParams::default()).await.unwrap();
    let admin = roles.items.iter().find(|role| role["metadata"]["name"] == "admin").unwrap();
    assert!(admin["rules"].as_array().unwrap().len() > 20);
    let token = rig.server().join_token().clone();
    let name = format!("bootstrap-token-{}", token.token.id);
    let secret: Value = client.get(&Resource::SECRETS, "kube-system", &name).await.unwrap();
    assert_eq!(secret["type"], "bootstrap.kubernetes.io/token");
    // No component is in system:masters.
    let refused =
        rig.client("system:kube-scheduler").get::<Value>(&Resource::SECRETS, "kube-system", &name).await;
    assert!(refused.unwrap_err().to_string().contains("cannot get resource \"secrets\""));
    rig.stop().await;
}

/// The scheduler's Lease is another's for a while, so that its views are not there.
#[tokio::test(flavor = "multi_thread")]
async fn ready_when_views_are_synced() {
    let mut rig = Rig::start().await;
    let checks = |scheduler: &str, verdict: &str| {
        format!(
            "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n\
             [+]controllers-informer-sync ok\n{scheduler}\n[+]poststarthook/rbac/bootstrap-roles ok\n\
             [+]shutdown ok\nreadyz check {verdict}\n"
        )
    };
    let all = checks("[+]scheduler-informer-sync ok", "passed");
    rig.ready("?verbose", &all).await;
    rig.ready("", "ok").await;
    let taken = json!({"spec": {"holderIdentity": "another"}});
    let admin = rig.admin();
    admin.merge_patch::<Value>(&Resource::LEASES, "kube-system", "kube-scheduler", &taken).await.unwrap();
    rig.restart().await;
    rig.ready("", &checks("[-]scheduler-informer-sync failed: reason withheld", "failed")).await;
    let check = "/readyz/scheduler-informer-sync";
    assert_eq!(
        rig.text(check).await,
        (500, "internal server error: its views are not synced yet\n".to_owned())
    );
    rig.ready("?exclude=scheduler-informer-sync", "ok").await;
    let live =
        "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]poststarthook/rbac/bootstrap-roles ok\nlivez check passed\n";
    assert_eq!(rig.text("/livez?verbose").await, (200, live.to_owned()));
    let index = rig.text("/").await.1;
    assert!(index.contains(&format!("\"{check}\"")) && !index.contains("\"/livez/shutdown\""), "{index}");
    let delete = keelson_client::DeleteParams::default();
    rig.admin().delete(&Resource::LEASES, "kube-system", "kube-scheduler", &delete).await.unwrap();
    rig.ready("?verbose", &all).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apis_own_endpoints() {
    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig { advertise_address: Some("10.1.2.3".parse().unwrap()), ..config(dir.path()) };
    let port = config.secure_port;
    let mut rig = Rig { server: Some(Server::start(config.clone()).await.unwrap()), dir, config };
    assert_eq!(rig.server().url(), format!("https://10.1.2.3:{port}"));
    let client = rig.admin();
    let slice: Value = client.get(&Resource::ENDPOINT_SLICES, "default", "kubernetes").await.unwrap();
    assert_eq!(slice["endpoints"], json!([{"addresses": ["10.1.2.3"], "conditions": {"ready": true}}]));
    assert_eq!(slice["ports"], json!([{"name": "https", "protocol": "TCP", "port": port}]));
    let endpoints: Value = client.get(&Resource::ENDPOINTS, "default", "kubernetes").await.unwrap();
    assert_eq!(endpoints["subsets"][0]["addresses"], json!([{"ip": "10.1.2.3"}]));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_and_mends() {
    let mut rig = Rig::start().await;
    let client = rig.admin();
    let delete = keelson_client::DeleteParams::default();
    client.delete(&Resource::CLUSTER_ROLES, "", "system:basic-user", &delete).await.unwrap();
    client
        .create::<Value>(&Resource::CONFIG_MAPS, "default", &json!({"metadata": {"name": "kept"}}))
        .await
        .unwrap();
    let before: Value = client.get(&Resource::CLUSTER_ROLES, "", "view").await.unwrap();
    let (token, kubeconfig) =
        (rig.server().join_token().clone(), std::fs::read_to_string(&rig.config.admin_kubeconfig).unwrap());
    rig.restart().await;
    let client = rig.admin();
    client.get::<Value>(&Resource::CONFIG_MAPS, "default", "kept").await.unwrap();
    client.get::<Value>(&Resource::CLUSTER_ROLES, "", "system:basic-user").await.unwrap();
    let after: Value = client.get(&Resource::CLUSTER_ROLES, "", "view").await.unwrap();
    assert_eq!(before, after, "a role in order is not written again");
    assert_eq!(*rig.server().join_token(), token);
    assert_eq!(std::fs::read_to_string(&rig.config.admin_kubeconfig).unwrap(), kubeconfig);
    rig.stop().await;
}

/// Events end after the time that the configuration says.
#[tokio::test(flavor = "multi_thread")]
async fn events_end() {
    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig { event_ttl: "1s".parse().unwrap(), ..config(dir.path()) };
    let mut rig = Rig { server: Some(Server::start(config.clone()).await.unwrap()), dir, config };
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}});
    rig.admin().create::<Value>(&Resource::EVENTS, "default", &event).await.unwrap();
    let begin = Instant::now();
    while rig.admin().get::<Value>(&Resource::EVENTS, "default", "e").await.is_ok() {
        assert!(begin.elapsed().as_secs() < 20, "it is still there");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    rig.stop().await;
}

/// Continue tokens end after the time that the configuration says.
#[tokio::test(flavor = "multi_thread")]
async fn continue_tokens_end() {
    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig { continue_ttl: "1s".parse().unwrap(), ..config(dir.path()) };
    let mut rig = Rig { server: Some(Server::start(config.clone()).await.unwrap()), dir, config };
    let client = rig.admin();
    let page: Value = client.get_json("/api/v1/namespaces?limit=1").await.unwrap();
    let token = page["metadata"]["continue"].as_str().unwrap();
    let next = format!("/api/v1/namespaces?limit=1&continue={token}");
    client.get_json::<Value>(&next).await.unwrap();
    let begin = Instant::now();
    for n in 0.. {
        assert!(begin.elapsed().as_secs() < 20, "it is still good");
        let later = json!({"metadata": {"name": format!("later-{n}")}});
        client.create::<Value>(&Resource::CONFIG_MAPS, "default", &later).await.unwrap();
        match client.get_json::<Value>(&next).await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            Err(error) => {
                assert!(error.is_gone(), "{error}");
                break;
            }
        }
    }
    assert!(begin.elapsed().as_secs() >= 1, "gone at once");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, config.secure_port)).unwrap();
    let error = Server::start(config.clone()).await.err().unwrap().to_string();
    assert!(error.starts_with(&format!("cannot listen on 127.0.0.1:{}", config.secure_port)), "{error}");
    assert!(!config.state_dir.exists());
    drop(taken);
    let wrong = ServerConfig { cluster_dns: Ipv4Addr::new(1, 2, 3, 4), ..config };
    let error = Server::start(wrong).await.err().unwrap().to_string();
    assert!(error.starts_with("clusterDNS: 1.2.3.4 must be"), "{error}");
}
