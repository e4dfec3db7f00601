//! The API server under load: 64 clients, each with a TLS connection of its own, ConfigMaps of 1 KB.

mod watch;

use crate::cpu::used_us;
use crate::stats::percentiles;
use anyhow::{Context, Result};
use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request};
use http_body_util::BodyExt;
use keelson_client::Client;
use keelson_client::kubeconfig::Kubeconfig;
use keelson_client::remote::{RemoteConfig, RemoteTransport};
use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};
use watch::{Plan, WATCHERS};
use xtask::cluster::{Daemon, Names};

const CLIENTS: usize = 64;
const PER_CLIENT: usize = 400;
const NAMESPACE: &str = "bench";
const COLLECTION: &str = "/api/v1/namespaces/bench/configmaps";

/// Goes where the server is, so that its clients come over loopback: what a packet costs between two namespaces of
/// one machine, the bridge and its filters included, is charged to the sender, here the server.
pub fn enter(state: &Path) -> Result<()> {
    let netns = Names::of(state).netns_path("server");
    let file =
        File::open(&netns).with_context(|| format!("no server runs at --state: {}", netns.display()))?;
    Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
}

struct Load {
    clients: Vec<Client>,
    pid: i32,
}

pub async fn run(state: &Path) -> Result<Value> {
    let names = Names::of(state);
    let pid = Daemon::load(&names.pid_file("server")).context("no server runs at --state")?.pid;
    let config = Kubeconfig::load(names.server_dir().join("admin.kubeconfig"))?;
    let load = Load { clients: clients(&config, CLIENTS)?, pid };
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    call(&load.clients[0], Method::POST, "/api/v1/namespaces", "application/json", namespace.to_string())
        .await?;

    let json = "application/json";
    let merge = "application/merge-patch+json";
    let create =
        load.measure("create", |id| (Method::POST, COLLECTION.to_owned(), json, config_map(id))).await?;
    let get = load.measure("get", |id| (Method::GET, path(id), json, String::new())).await?;
    let patch = load
        .measure("merge patch", |id| {
            (Method::PATCH, path(id), merge, r#"{"data":{"k":"changed"}}"#.to_owned())
        })
        .await?;
    let list = load.lists().await?;
    let delete = load.measure("delete", |id| (Method::DELETE, path(id), json, String::new())).await?;
    // Watchers that share 64 connections, of one writer and of all; then with one each, then events that come alone.
    let burst = |writers, first| Plan { events: 500, writers, pause: Duration::ZERO, first };
    let watch = watch::run(&load, &load.clients, burst(1, 1_000_000)).await?;
    let watch_of_all = watch::run(&load, &load.clients, burst(CLIENTS, 2_000_000)).await?;
    let own = clients(&config, WATCHERS)?;
    let watch_alone = watch::run(&load, &own, burst(1, 3_000_000)).await?;
    let paced = Plan { events: 100, writers: 1, pause: Duration::from_millis(40), first: 4_000_000 };
    let watch_paced = watch::run(&load, &own, paced).await?;
    call(&load.clients[0], Method::DELETE, "/api/v1/namespaces/bench", json, String::new()).await?;
    Ok(json!({
        "bench": "api", "clients": CLIENTS, "operations": CLIENTS * PER_CLIENT,
        "create": create, "get": get, "merge_patch": patch, "list": list, "delete": delete,
        "watch": watch, "watch_all_write": watch_of_all, "watch_own_connections": watch_alone, "watch_lone_events": watch_paced,
    }))
}

/// Clients with a connection of their own each.
fn clients(config: &RemoteConfig, count: usize) -> Result<Vec<Client>> {
    (0..count).map(|_| Ok(Client::new(RemoteTransport::new(config.clone())?, "keelson-bench"))).collect()
}

fn path(id: usize) -> String {
    format!("{COLLECTION}/c{id}")
}

fn config_map(id: usize) -> String {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": format!("c{id}"), "labels": { "app": "bench" } },
        "data": { "k": "v".repeat(1024) },
    })
    .to_string()
}

async fn call(
    client: &Client,
    method: Method,
    path: &str,
    content_type: &str,
    body: String,
) -> Result<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("accept", "application/json")
        .header("content-type", content_type)
        .body(Bytes::from(body))?;
    let response = client.send(request).await?;
    let collected = response.into_body().collect().await.map_err(|e| anyhow::anyhow!("{e}"))?;
    Ok(collected.to_bytes())
}

impl Load {
    /// Every client makes its share of calls, one after the other.
    async fn measure(
        &self,
        what: &str,
        make: impl Fn(usize) -> (Method, String, &'static str, String) + Send + Sync + Clone + 'static,
    ) -> Result<Value> {
        eprintln!("{what}: {CLIENTS} clients x {PER_CLIENT}");
        let (cpu, start) = (used_us(self.pid)?, Instant::now());
        let tasks = self.clients.iter().enumerate().map(|(index, client)| {
            let (client, make) = (client.clone(), make.clone());
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(PER_CLIENT);
                for turn in 0..PER_CLIENT {
                    let (method, path, content_type, body) = make(index * PER_CLIENT + turn);
                    let begin = Instant::now();
                    call(&client, method, &path, content_type, body).await?;
                    times.push(begin.elapsed());
                }
                anyhow::Ok(times)
            })
        });
        let mut times = Vec::new();
        for result in join_all(tasks).await {
            times.extend(result??);
        }
        self.figures(cpu, start.elapsed(), times)
    }

    fn figures(&self, cpu_before: u64, wall: Duration, times: Vec<Duration>) -> Result<Value> {
        let count = times.len() as f64;
        let mut figures = percentiles(times);
        figures["server_cpu_us_per_op"] = json!((used_us(self.pid)? - cpu_before) as f64 / count);
        figures["ops_per_s"] = json!((count / wall.as_secs_f64()).round());
        Ok(figures)
    }

    /// Lists of everything, one client.
    async fn lists(&self) -> Result<Value> {
        eprintln!("list: 10 x {}", CLIENTS * PER_CLIENT);
        let (cpu, start) = (used_us(self.pid)?, Instant::now());
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..10 {
            let begin = Instant::now();
            bytes = call(&self.clients[0], Method::GET, COLLECTION, "application/json", String::new())
                .await?
                .len();
            times.push(begin.elapsed());
        }
        let mut figures = self.figures(cpu, start.elapsed(), times)?;
        figures["bytes"] = json!(bytes);
        Ok(figures)
    }
}
