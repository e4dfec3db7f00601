//! From an empty folder to a cluster: server and agent are started together, as `keelson up` does.

use anyhow::{Context, Result};
use keelson_api::resource::Resource;
use keelson_client::kubeconfig::Kubeconfig;
use keelson_client::remote::RemoteTransport;
use keelson_client::views::Node;
use keelson_client::{Client, ListParams};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use xtask::cluster::{Cluster, Spec, down};

const RUNS: usize = 5;
const LIMIT: Duration = Duration::from_secs(60);

pub async fn run(state: &Path) -> Result<Value> {
    let state = state.with_extension("start");
    let mut runs = Vec::new();
    for run in 1..=RUNS {
        eprintln!("start {run} of {RUNS}");
        let measured = once(&state).await;
        down(&state)?;
        runs.push(measured?);
    }
    let median = |pick: fn(&(Duration, Duration)) -> Duration| {
        let mut all: Vec<_> = runs.iter().map(pick).collect();
        all.sort_unstable();
        all[all.len() / 2].as_millis()
    };
    Ok(json!({
        "bench": "start",
        "readyz_ms_median": median(|r| r.0),
        "node_ready_ms_median": median(|r| r.1),
        "runs_ms": runs.iter().map(|r| [r.0.as_millis(), r.1.as_millis()]).collect::<Vec<_>>(),
    }))
}

async fn once(state: &Path) -> Result<(Duration, Duration)> {
    let cluster = Cluster::prepare(Spec {
        state: state.to_owned(),
        nodes: 1,
        datapath: "auto".to_owned(),
        program: xtask::repo::program("keelson", true),
        images: Vec::new(),
        verbose: false,
    })?;
    let start = Instant::now();
    cluster.start_server()?;
    cluster.start_agent(1)?;
    let client = until(start, "kubeconfig", async || {
        let config = Kubeconfig::load(cluster.kubeconfig()).ok()?;
        Some(Client::new(RemoteTransport::new(config).ok()?, "keelson-bench"))
    })
    .await?;
    until(start, "readyz", async || {
        let request = http::Request::get("/readyz").body(bytes::Bytes::new()).ok()?;
        client.send(request).await.ok()
    })
    .await?;
    let readyz = start.elapsed();
    until(start, "Ready node", async || {
        let nodes = client.list::<Node>(&Resource::NODES, "", &ListParams::default()).await.ok()?;
        let ready = |n: &Node| n.status.conditions.iter().any(|c| c.r#type == "Ready" && c.status == "True");
        nodes.items.iter().any(ready).then_some(())
    })
    .await?;
    Ok((readyz, start.elapsed()))
}

async fn until<T>(start: Instant, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    loop {
        if let Some(value) = probe().await {
            return Ok(value);
        }
        (start.elapsed() < LIMIT).then_some(()).with_context(|| format!("no {what} within {LIMIT:?}"))?;
        sleep(Duration::from_millis(2)).await;
    }
}
