//! It is durable: the server is killed again and again under writing clients, and every write that it acknowledged
//! is there.
//!
//! kill -9 leaves the page cache alone; that acknowledged writes are synced is shown by the store's own tests, on a
//! file system that loses what was not.

use crate::harness::{TestCluster, eventually};
use keelson_api::resource::Resource;
use keelson_client::kubeconfig::Kubeconfig;
use keelson_client::remote::RemoteTransport;
use keelson_client::views::ConfigMap;
use keelson_client::{Client, ListParams, WatchEvent, WatchParams};
use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WRITERS: usize = 64;
const ROUNDS: usize = 20;
/// How long the server lives in each round.
const LIFE: Duration = Duration::from_millis(700);

/// Acknowledged writes: name and resourceVersion.
type Acknowledged = Arc<Mutex<BTreeMap<String, u64>>>;

fn client(cluster: &TestCluster) -> Client {
    let config = Kubeconfig::load(cluster.kubeconfig()).unwrap();
    Client::new(RemoteTransport::new(config).unwrap(), "keelson-tests")
}

/// Creates ConfigMaps until `ending`; what was answered with success is noted.
async fn write(client: Client, writer: usize, ending: Arc<AtomicBool>, acknowledged: Acknowledged) {
    let mut number = 0;
    while !ending.load(Ordering::Relaxed) {
        let name = format!("w{writer}-{number}");
        number += 1;
        let object = json!({ "metadata": { "name": name }, "data": { "whole": "x".repeat(512) } });
        match client.create::<ConfigMap>(&Resource::CONFIG_MAPS, "default", &object).await {
            Ok(created) => {
                acknowledged.lock().unwrap().insert(name, created.metadata.revision());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Watches from revision to revision, over every death of the server, without ever listing; every event's name and
/// revision is noted.
async fn watch(client: Client, from: u64, ending: Arc<AtomicBool>, seen: Acknowledged) {
    let mut version = from;
    while !ending.load(Ordering::Relaxed) {
        let params = WatchParams { resource_version: version.to_string(), ..WatchParams::default() };
        let Ok(mut stream) = client.watch::<ConfigMap>(&Resource::CONFIG_MAPS, "default", &params).await
        else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        while let Some(Ok(event)) = stream.next().await {
            match event {
                WatchEvent::Added(object) => {
                    let revision = object.metadata.revision();
                    assert!(revision > version, "events come in order: {revision} after {version}");
                    version = revision;
                    seen.lock().unwrap().insert(object.metadata.name, revision);
                }
                WatchEvent::Bookmark { resource_version } => {
                    version = resource_version.parse().unwrap_or(version).max(version);
                }
                WatchEvent::Modified(_) | WatchEvent::Deleted(_) => panic!("nobody changes anything"),
            }
        }
    }
}

#[test]
fn every_acknowledged_write_survives_kill_9() {
    let cluster = TestCluster::up("durable", 1, "auto");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (acknowledged, seen) = (Acknowledged::default(), Acknowledged::default());
    let ending = Arc::new(AtomicBool::new(false));
    let list = || async {
        let client = client(&cluster);
        client.list_all::<ConfigMap>(&Resource::CONFIG_MAPS, "default", &ListParams::default()).await
    };
    let start: u64 = runtime.block_on(list()).unwrap().resource_version.parse().unwrap();
    let mut tasks = vec![runtime.spawn(watch(client(&cluster), start, ending.clone(), seen.clone()))];
    for writer in 0..WRITERS {
        tasks.push(runtime.spawn(write(client(&cluster), writer, ending.clone(), acknowledged.clone())));
    }
    for _ in 0..ROUNDS {
        let before = acknowledged.lock().unwrap().len();
        eventually("writes to go on", Duration::from_secs(30), || {
            let now = acknowledged.lock().unwrap().len();
            if now > before { Ok(()) } else { Err(format!("{now} writes")) }
        });
        std::thread::sleep(LIFE);
        cluster.server().unwrap().signal(Signal::SIGKILL);
        assert!(cluster.server().unwrap().wait(Duration::from_secs(5)));
        cluster.start_server().unwrap();
    }
    ending.store(true, Ordering::Relaxed);
    let stored = eventually("the last list", Duration::from_secs(30), || {
        runtime.block_on(list()).map_err(|error| error.to_string())
    });
    let found: BTreeMap<_, _> = stored
        .items
        .iter()
        .filter(|c| c.metadata.name.starts_with('w'))
        .map(|c| {
            assert_eq!(c.data["whole"].len(), 512, "no half write");
            (c.metadata.name.clone(), c.metadata.revision())
        })
        .collect();
    let acknowledged = acknowledged.lock().unwrap().clone();
    for (name, revision) in &acknowledged {
        assert_eq!(found.get(name), Some(revision), "{name} was acknowledged");
    }
    // What was not acknowledged may be there or not; the watch must have told of all that is.
    eventually("the watch to tell of every write", Duration::from_secs(30), || {
        let seen = seen.lock().unwrap();
        let missing = found.iter().filter(|(name, revision)| seen.get(*name) != Some(revision)).count();
        if missing == 0 { Ok(()) } else { Err(format!("{missing} of {} are missing", found.len())) }
    });
    eprintln!("{} writes acknowledged over {ROUNDS} deaths", acknowledged.len());
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    drop(runtime);
    cluster.finish();
}
