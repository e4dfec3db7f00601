//! connect() through a ClusterIP beside a direct one: a process of the node, one listener, turn by turn.

use crate::stats::percentiles;
use anyhow::{Context, Result};
use keelson_api::resource::Resource;
use keelson_client::kubeconfig::Kubeconfig;
use keelson_client::remote::RemoteTransport;
use keelson_client::{Client, DeleteParams};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use xtask::cluster::{Names, v2_root};

const ROUNDS: usize = 20_000;
const NAMESPACE: &str = "bench-connect";
const SERVICE_PORT: u16 = 80;

pub async fn run(state: &Path) -> Result<Value> {
    let names = Names::of(state);
    let config = Kubeconfig::load(names.server_dir().join("admin.kubeconfig"))?;
    let client = Client::new(RemoteTransport::new(config)?, "keelson-bench");
    let listener = enter_node(&names)?;
    let direct = listener.local_addr()?;
    std::thread::spawn(move || {
        // Closed at once: only the handshake is measured.
        while let Ok((stream, _)) = listener.accept() {
            drop(stream);
        }
    });
    let service = expose(&client, direct).await?;
    let figures = tokio::task::block_in_place(|| measure(direct, service));
    client.delete(&Resource::NAMESPACES, "", NAMESPACE, &DeleteParams::default()).await?;
    figures
}

/// Puts this process into the network and the cgroup of node 1, and listens there.
fn enter_node(names: &Names) -> Result<TcpListener> {
    let cgroup = v2_root()?.join(names.cgroup()).join(Names::node(1)).join("bench");
    fs::create_dir_all(&cgroup)?;
    fs::write(cgroup.join("cgroup.procs"), "0")?;
    setns(File::open(names.netns_path(&Names::node(1)))?, CloneFlags::CLONE_NEWNET)?;
    Ok(TcpListener::bind((names.node_ip(1), 0))?)
}

/// A Service whose one endpoint is `listener`.
async fn expose(client: &Client, listener: SocketAddr) -> Result<SocketAddr> {
    let namespace = json!({ "metadata": { "name": NAMESPACE } });
    client.create::<Value>(&Resource::NAMESPACES, "", &namespace).await?;
    let service = json!({
        "metadata": { "name": "connect" },
        "spec": { "ports": [{ "port": SERVICE_PORT, "targetPort": listener.port() }] },
    });
    let service: Value = client.create(&Resource::SERVICES, NAMESPACE, &service).await?;
    let slice = json!({
        "metadata": { "name": "connect", "labels": { "kubernetes.io/service-name": "connect" } },
        "addressType": "IPv4",
        "ports": [{ "name": "", "port": listener.port(), "protocol": "TCP" }],
        "endpoints": [{ "addresses": [listener.ip().to_string()] }],
    });
    client.create::<Value>(&Resource::ENDPOINT_SLICES, NAMESPACE, &slice).await?;
    let ip = service["spec"]["clusterIP"].as_str().context("the Service has no address")?;
    Ok(SocketAddr::new(ip.parse()?, SERVICE_PORT))
}

fn measure(direct: SocketAddr, service: SocketAddr) -> Result<Value> {
    let limit = Duration::from_secs(10);
    let start = Instant::now();
    while TcpStream::connect_timeout(&service, Duration::from_millis(200)).is_err() {
        anyhow::ensure!(start.elapsed() < limit, "the Service does not answer within {limit:?}");
    }
    let connect = |to| {
        let begin = Instant::now();
        let stream = TcpStream::connect(to)?;
        let took = begin.elapsed();
        // Ended by a reset: closed ones would keep their ports for a minute, and there are fewer ports than rounds.
        setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
        anyhow::Ok(took)
    };
    let (mut times_direct, mut times_service) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        times_direct.push(connect(direct)?);
        times_service.push(connect(service)?);
    }
    let (direct, service) = (percentiles(times_direct), percentiles(times_service));
    let ratio = service["p50_us"].as_f64().unwrap_or(0.0) / direct["p50_us"].as_f64().unwrap_or(1.0);
    Ok(json!({ "bench": "connect", "direct": direct, "cluster_ip": service, "p50_ratio": ratio }))
}
