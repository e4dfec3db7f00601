//! Measures the store alone: durable writes, single-write latency, watch delivery, memory per object, restart.
//!
//! `store_load DIR [SECONDS] [CLIENTS]`; prints one JSON object. DIR must be on the disk to be measured and is
//! emptied first if it is a store of an earlier run. With 0 SECONDS it opens the store and waits a little. CPU times are of the whole process, clients included.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use keelson_store::{Expect, Options, Outcome, Store, Template, Write};

const KIND: &str = "configmaps";
const DOCUMENT: usize = 1024;

fn document(n: u64) -> Template {
    let head = r#"{"metadata":{"resourceVersion":""#;
    let mut json = format!(r#"{head}"}},"n":{n},"data":""#).into_bytes();
    json.resize(DOCUMENT - 2, b'a' + (n % 26) as u8);
    json.extend_from_slice(b"\"}");
    Template { json, version_at: head.len() }
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
    let usage = usage.expect("getrusage on oneself does not fail");
    let time = |t: nix::sys::time::TimeVal| {
        Duration::from_secs(t.tv_sec() as u64) + Duration::from_micros(t.tv_usec() as u64)
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

async fn put(store: &Store, key: String, n: u64) -> u64 {
    let write = Write::Put { kind: KIND.into(), key, expect: Expect::Any, value: document(n) };
    match store.write(write).await {
        Ok(Outcome::Done(stored)) => stored.revision,
        other => panic!("{other:?}"),
    }
}

/// CPU time per event delivered to one of many watchers, in nanoseconds, above what the writes cost without them.
async fn deliver(store: &Store, watchers: usize, events: u64) -> u64 {
    let watching: Vec<_> = (0..watchers)
        .map(|_| {
            let mut watcher = store.watch(KIND, "", store.revision()).expect("the present can be watched");
            tokio::spawn(async move {
                for _ in 0..events {
                    watcher.next().await.expect("the watch goes on");
                }
            })
        })
        .collect();
    let before = cpu();
    write_many(store, events).await;
    for watcher in watching {
        watcher.await.expect("a watcher panicked");
    }
    let with = cpu() - before;
    let before = cpu();
    write_many(store, events).await;
    let without = cpu() - before;
    with.saturating_sub(without).as_nanos() as u64 / (watchers as u64 * events)
}

async fn write_many(store: &Store, count: u64) {
    for n in 0..count {
        put(store, format!("watched/{}", n % 16), n).await;
    }
}

struct Phase {
    writes: u64,
    wall: Duration,
    cpu: Duration,
    p50: Duration,
    p99: Duration,
}

async fn load(
    store: &Store,
    clients: u64,
    time: Duration,
    key: impl Fn(u64, u64) -> String + Copy + Send + 'static,
) -> Phase {
    let (started, cpu_before) = (Instant::now(), cpu());
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                for n in 0.. {
                    let at = Instant::now();
                    if at.duration_since(started) >= time {
                        break;
                    }
                    put(&store, key(client, n), n).await;
                    latencies.push(at.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("a client panicked"));
    }
    let (wall, cpu) = (started.elapsed(), cpu() - cpu_before);
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
    Phase { writes: latencies.len() as u64, wall, cpu, p50: at(50), p99: at(99) }
}

fn show(name: &str, phase: &Phase) -> String {
    let writes = phase.writes.max(1) as f64;
    format!(
        r#""{name}":{{"writes":{},"writes_per_s":{:.0},"cpu_us_per_write":{:.1},"p50_us":{},"p99_us":{}}}"#,
        phase.writes,
        writes / phase.wall.as_secs_f64(),
        phase.cpu.as_secs_f64() * 1e6 / writes,
        phase.p50.as_micros(),
        phase.p99.as_micros()
    )
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().expect("store_load DIR [SECONDS] [CLIENTS]"));
    let time = Duration::from_secs(args.next().map_or(5, |s| s.parse().expect("SECONDS is a number")));
    let clients = args.next().map_or(64, |s| s.parse().expect("CLIENTS is a number"));
    if dir.join("format").exists() {
        std::fs::remove_dir_all(&dir).expect("the old store can be removed");
    }
    let before = resident();
    let store = Store::open(Options::new(&dir)).await.expect("the store opens");
    let empty = resident();
    if time.is_zero() {
        // For a look at an idle store from outside.
        tokio::time::sleep(Duration::from_secs(5)).await;
        return;
    }
    let updates = load(&store, clients, time, |client, n| format!("ns{client}/{}", n % 16)).await;
    let updated = resident();
    let single = load(&store, 1, time / 4, |_, n| format!("single/{}", n % 16)).await;
    let delivery = deliver(&store, 200, 500).await;
    let objects_before = (store.snapshot(KIND).count("") as u64, resident());
    let creates = load(&store, clients, time, |client, n| format!("new{client}/{n}")).await;
    let objects = store.snapshot(KIND).count("") as u64 - objects_before.0;
    let grown = resident() - objects_before.1;
    store.shutdown().await;
    let started = Instant::now();
    let store = Store::open(Options::new(&dir)).await.expect("the store opens again");
    let restart = started.elapsed();
    let loaded = store.snapshot(KIND).count("");
    store.shutdown().await;
    #[expect(clippy::print_stdout, reason = "the result of the program")]
    {
        println!(
            "{{{},{},{},\"watch_delivery_cpu_ns\":{delivery},\"memory_kib\":{{\"before\":{before},\"empty\":{empty},\"after_updates\":{updated}}},\
             \"bytes_per_created_object\":{},\"restart\":{{\"objects\":{loaded},\"ms\":{}}}}}",
            show("updates", &updates),
            show("single", &single),
            show("creates", &creates),
            grown * 1024 / objects.max(1),
            restart.as_millis()
        );
    }
}
