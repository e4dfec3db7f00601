//! From a pod's creation to Ready through the whole cluster, beside the same runtime calls made bare.
//!
//! The two take turns within one run, on one node and one containerd, so that a busy machine slows both.

mod bare;

use crate::cpu;
use anyhow::{Context, Result, ensure};
use bare::Runtime;
use keelson_api::resource::Resource;
use keelson_client::informer::{Change, Feed, Informer, Scope};
use keelson_client::kubeconfig::Kubeconfig;
use keelson_client::remote::RemoteTransport;
use keelson_client::views::Pod;
use keelson_client::{Client, DeleteParams};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use xtask::cluster::{Daemon, Names};

const NAMESPACE: &str = "bench-pods";
/// Pods that are started alone, one after the other.
const ALONE: usize = 15;
/// Pods that are asked for at once, and how often.
const TOGETHER: usize = 30;
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(120);

pub async fn run(state: &Path) -> Result<Value> {
    let names = Names::of(state);
    let config = Kubeconfig::load(names.server_dir().join("admin.kubeconfig"))?;
    let client = Client::new(RemoteTransport::new(config)?, "keelson-bench");
    let namespace = json!({ "metadata": { "name": NAMESPACE } });
    client.create::<Value>(&Resource::NAMESPACES, "", &namespace).await?;
    account(&client).await?;
    let scope = Scope { namespace: NAMESPACE.to_owned(), ..Scope::default() };
    let pods = Informer::<Pod>::spawn(client.clone(), Resource::PODS, scope);
    let runtime = Runtime::connect(&names)?;
    let mut bench = Bench { feed: pods.subscribe(), pods, client, runtime, names };
    let figures = bench.measure().await;
    bench.client.delete(&Resource::NAMESPACES, "", NAMESPACE, &DeleteParams::default()).await?;
    figures
}

/// No pod is admitted before its namespace has its account, which a controller makes.
async fn account(client: &Client) -> Result<()> {
    let start = Instant::now();
    while let Err(error) = client.get::<Value>(&Resource::SERVICE_ACCOUNTS, NAMESPACE, "default").await {
        ensure!(error.is_not_found() && start.elapsed() < LIMIT, "the namespace's account: {error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

struct Bench {
    client: Client,
    pods: Informer<Pod>,
    feed: Feed<Pod>,
    runtime: Runtime,
    names: Names,
}

/// One round of the cluster.
struct Round {
    /// Until every pod was created and seen bound to a node.
    bound: Duration,
    /// Until the last pod was seen Ready.
    ready: Duration,
}

impl Bench {
    async fn measure(&mut self) -> Result<Value> {
        self.pods.synced().await;
        eprintln!("warming up");
        self.cluster("warm", 1).await?;
        self.runtime.round("warm", 1).await?;
        let (mut cluster, mut bare) = (Vec::new(), Vec::new());
        for run in 0..ALONE {
            eprintln!("alone, {} of {ALONE}", run + 1);
            bare.push(self.runtime.round(&format!("alone-{run}"), 1).await?);
            cluster.push(self.cluster(&format!("alone-{run}"), 1).await?);
        }
        let alone = compared(&cluster, &bare);
        let (mut cluster, mut bare) = (Vec::new(), Vec::new());
        let mut cpu = [0, 0];
        for run in 0..ROUNDS {
            eprintln!("{TOGETHER} at once, {} of {ROUNDS}", run + 1);
            bare.push(self.runtime.round(&format!("many-{run}"), TOGETHER).await?);
            let before = self.cpu_us()?;
            cluster.push(self.cluster(&format!("many-{run}"), TOGETHER).await?);
            let after = self.cpu_us()?;
            (0..2).for_each(|i| cpu[i] += after[i] - before[i]);
        }
        let per_pod = |us: u64| us as f64 / 1e3 / (ROUNDS * TOGETHER) as f64;
        Ok(json!({
            "bench": "pods",
            "alone": alone,
            "together": compared(&cluster, &bare),
            "pods_together": TOGETHER,
            // From creation to the end of the clean-up, containerd and the pods themselves apart.
            "server_cpu_ms_per_pod": per_pod(cpu[0]),
            "agent_cpu_ms_per_pod": per_pod(cpu[1]),
        }))
    }

    /// CPU time of server and agent.
    fn cpu_us(&self) -> Result<[u64; 2]> {
        let used = |process: &str| -> Result<u64> {
            let daemon = Daemon::load(&self.names.pid_file(process)).context("the cluster does not run")?;
            cpu::used_us(daemon.pid)
        };
        Ok([used("server")?, used(&Names::node(1))?])
    }

    /// Creates pods at once and waits until the watch has shown all of them Ready; then removes them.
    async fn cluster(&mut self, prefix: &str, count: usize) -> Result<Round> {
        let all: Vec<String> = (0..count).map(|n| format!("{prefix}-{n}")).collect();
        let start = Instant::now();
        let creates = all.iter().map(|name| {
            let (client, pod) = (self.client.clone(), pod(name));
            tokio::spawn(async move { client.create::<Value>(&Resource::PODS, NAMESPACE, &pod).await })
        });
        let creates: Vec<_> = creates.collect();
        for create in creates {
            create.await??;
        }
        let bound = self.until(start, &all, |pod| !pod.spec.node_name.is_empty()).await?;
        let ready = self.until(start, &all, is_ready).await?;
        self.remove(&all).await?;
        Ok(Round { bound, ready })
    }

    /// When the view first had every pod of `names` as `wanted` says.
    async fn until(
        &mut self,
        start: Instant,
        names: &[String],
        wanted: fn(&Pod) -> bool,
    ) -> Result<Duration> {
        let mut open: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        loop {
            open.retain(|name| !self.pods.store().get(NAMESPACE, name).is_some_and(|pod| wanted(&pod)));
            if open.is_empty() {
                return Ok(start.elapsed());
            }
            let left = LIMIT.saturating_sub(start.elapsed());
            let change = tokio::time::timeout(left, self.feed.recv()).await;
            let change: Option<Change<Pod>> =
                change.with_context(|| format!("not within {LIMIT:?}: {open:?}"))?;
            ensure!(change.is_some(), "the view of the pods has ended");
        }
    }

    /// Deletes pods and waits until neither the API nor the runtime has anything of them: what is still being
    /// removed would disturb the next round.
    async fn remove(&mut self, names: &[String]) -> Result<()> {
        let params = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        for name in names {
            self.client.delete(&Resource::PODS, NAMESPACE, name, &params).await?;
        }
        self.runtime.until_empty(LIMIT).await
    }
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": bare::CONTAINER, "image": bare::IMAGE, "imagePullPolicy": "Never" }],
        },
    })
}

fn is_ready(pod: &Pod) -> bool {
    pod.status.conditions.iter().any(|c| c.r#type == "Ready" && c.status == "True")
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Medians, their difference and ratio, and every run.
fn compared(cluster: &[Round], bare: &[Duration]) -> Value {
    let ready = median(cluster.iter().map(|r| r.ready).collect());
    let plain = median(bare.to_vec());
    json!({
        "ready_ms_median": ms(ready),
        "bound_ms_median": ms(median(cluster.iter().map(|r| r.bound).collect())),
        "bare_ms_median": ms(plain),
        "beyond_bare_ms": ms(ready) - ms(plain),
        "ratio": ready.as_secs_f64() / plain.as_secs_f64(),
        "ready_ms": cluster.iter().map(|r| ms(r.ready)).collect::<Vec<_>>(),
        "bare_ms": bare.iter().map(|t| ms(*t)).collect::<Vec<_>>(),
    })
}
