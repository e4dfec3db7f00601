//! Events to many watchers: what a delivery costs the server, above what the same writes cost when nobody watches,
//! and how long after the call that made the event it is read.

use super::{COLLECTION, Load, call, config_map};
use crate::cpu::used_us;
use crate::stats::percentiles;
use anyhow::Result;
use bytes::Bytes;
use futures::future::try_join_all;
use http::{Method, Request};
use http_body_util::BodyExt;
use keelson_client::Client;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const WATCHERS: usize = 200;
/// How long the last event may take to reach the last watcher.
const PATIENCE: Duration = Duration::from_secs(60);

/// From the names of a plan's objects to those of its control.
const CONTROL: usize = 500_000;

/// How events come.
#[derive(Clone, Copy)]
pub struct Plan {
    pub events: usize,
    /// How many clients share the writes; each makes its own one after the other.
    pub writers: usize,
    /// From the answer to one write to the same client's next.
    pub pause: Duration,
    /// The name of its first object.
    pub first: usize,
}

/// What watchers have read.
struct Read {
    /// Pieces that bodies were read in.
    frames: AtomicUsize,
    events: AtomicU64,
    /// When the call that made each event began, in nanoseconds since `start`.
    begun: Vec<AtomicU64>,
    start: Instant,
    delays: Mutex<Vec<Duration>>,
}

/// Runs one plan with 200 watchers, spread over `clients`, after the control: the same writes without them.
pub async fn run(load: &Load, clients: &[Client], plan: Plan) -> Result<Value> {
    let control = unwatched(load, Plan { first: plan.first + CONTROL, ..plan }).await?;
    eprintln!(
        "watch: {WATCHERS} watchers on {} connections x {} events of {} writer(s)",
        clients.len(),
        plan.events,
        plan.writers
    );
    let read = Arc::new(Read {
        frames: AtomicUsize::new(0),
        events: AtomicU64::new(0),
        begun: (0..plan.events).map(|_| AtomicU64::new(0)).collect(),
        start: Instant::now(),
        delays: Mutex::default(),
    });
    // What is there already is not news.
    let now: Value =
        serde_json::from_slice(&call(&load.clients[0], Method::GET, COLLECTION, "", String::new()).await?)?;
    let version = now["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let path = format!("{COLLECTION}?watch=1&resourceVersion={version}");
    let mut tasks = Vec::new();
    for index in 0..WATCHERS {
        let request = Request::get(&path).body(Bytes::new())?;
        let body = clients[index % clients.len()].send(request).await?.into_body();
        tasks.push(tokio::spawn(follow(body, Arc::clone(&read))));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (cpu, start) = (used_us(load.pid)?, Instant::now());
    let calls = write(load, plan, |event| {
        read.begun[event].store(read.start.elapsed().as_nanos() as u64, Ordering::Release);
    })
    .await?;
    let wanted = (WATCHERS * plan.events) as u64;
    while read.events.load(Ordering::Acquire) < wanted {
        anyhow::ensure!(start.elapsed() < PATIENCE, "watch events are missing");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let wall = start.elapsed();
    let cpu = used_us(load.pid)? - cpu;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let delays = std::mem::take(&mut *read.delays.lock().map_err(|_| anyhow::anyhow!("a reader panicked"))?);
    Ok(json!({
        "watchers": WATCHERS,
        "connections": clients.len().min(WATCHERS),
        "server_cpu_us_per_delivery": (cpu as f64 - control as f64) / wanted as f64,
        "with_the_writes_us": cpu as f64 / wanted as f64,
        "unwatched_write_us": control as f64 / plan.events as f64,
        "writers": plan.writers,
        "deliveries": wanted,
        "deliveries_per_s": (wanted as f64 / wall.as_secs_f64()).round(),
        "events_per_read": wanted as f64 / read.frames.load(Ordering::Relaxed) as f64,
        "call": percentiles(calls),
        // Whose event comes first is not known of several writers.
        "begin_of_call_to_read": (plan.writers == 1).then(|| percentiles(delays)),
    }))
}

/// What the writes of a plan cost the server when nobody watches, in microseconds of CPU.
async fn unwatched(load: &Load, plan: Plan) -> Result<u64> {
    eprintln!("no watchers x {} events", plan.events);
    let cpu = used_us(load.pid)?;
    write(load, plan, |_| ()).await?;
    Ok(used_us(load.pid)? - cpu)
}

/// Makes the events of a plan; how long each call took.
async fn write(load: &Load, plan: Plan, begins: impl Fn(usize)) -> Result<Vec<Duration>> {
    let begins = &begins;
    let writers = load.clients.iter().take(plan.writers).enumerate().map(|(writer, client)| async move {
        let mut calls = Vec::with_capacity(plan.events / plan.writers + 1);
        for event in (writer..plan.events).step_by(plan.writers) {
            let begin = Instant::now();
            begins(event);
            let body = config_map(plan.first + event);
            call(client, Method::POST, COLLECTION, "application/json", body).await?;
            calls.push(begin.elapsed());
            if !plan.pause.is_zero() {
                tokio::time::sleep(plan.pause).await;
            }
        }
        anyhow::Ok(calls)
    });
    Ok(try_join_all(writers).await?.concat())
}

/// Reads a watch: its events come in order, so the n-th one read is the n-th one written, where one client writes.
async fn follow(mut body: keelson_client::ResponseBody, read: Arc<Read>) {
    let (mut seen, mut delays) = (0, Vec::with_capacity(read.begun.len()));
    while let Some(Ok(frame)) = body.frame().await {
        let lines = frame.data_ref().map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
        let now = read.start.elapsed();
        for begun in read.begun.iter().skip(seen).take(lines) {
            delays.push(now.saturating_sub(Duration::from_nanos(begun.load(Ordering::Acquire))));
        }
        seen += lines;
        if seen >= read.begun.len()
            && let Ok(mut all) = read.delays.lock()
        {
            all.append(&mut delays);
        }
        read.frames.fetch_add(1, Ordering::Relaxed);
        read.events.fetch_add(lines as u64, Ordering::Release);
    }
}
