//! Clients that write until they are told to end, and note what was acknowledged.

use crate::harness::{TestCluster, eventually};
use keelson_api::resource::Resource;
use keelson_client::kubeconfig::Kubeconfig;
use keelson_client::remote::RemoteTransport;
use keelson_client::views::ConfigMap;
use keelson_client::{Client, List, ListParams, WatchEvent, WatchParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Bytes of each object, so that half of one would be seen.
const WHOLE: usize = 512;
const RETRY: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(30);

/// Writes by name, with their resourceVersion.
pub type Writes = BTreeMap<String, u64>;
pub type Acknowledged = Arc<Mutex<Writes>>;

/// The administrator.
pub fn client(cluster: &TestCluster) -> Client {
    let config = Kubeconfig::load(cluster.kubeconfig()).unwrap();
    Client::new(RemoteTransport::new(config).unwrap(), "keelson-tests")
}

/// Every ConfigMap of the namespace in which the writers write.
pub async fn list(client: &Client) -> keelson_client::Result<List<ConfigMap>> {
    client.list_all::<ConfigMap>(&Resource::CONFIG_MAPS, "default", &ListParams::default()).await
}

/// Tasks that create ConfigMaps.
pub struct Writers {
    ending: Arc<AtomicBool>,
    acknowledged: Acknowledged,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    pub fn start(runtime: &Runtime, cluster: &TestCluster, count: usize) -> Self {
        let (ending, acknowledged) = (Arc::new(AtomicBool::new(false)), Acknowledged::default());
        let start = |writer| {
            let task = write(client(cluster), writer, Arc::clone(&ending), Arc::clone(&acknowledged));
            runtime.spawn(task)
        };
        let tasks = (0..count).map(start).collect();
        Self { ending, acknowledged, tasks }
    }

    /// Returns when writes have been acknowledged after this call.
    pub fn go_on(&self) {
        let count = || self.acknowledged.lock().unwrap().len();
        let before = count();
        eventually("writes to go on", LIMIT, || {
            let now = count();
            if now > before { Ok(()) } else { Err(format!("{now} writes")) }
        });
    }

    /// Returns every acknowledged write, when none is under way any more.
    pub async fn end(self) -> Writes {
        self.ending.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.acknowledged.lock().unwrap().clone()
    }
}

async fn write(client: Client, writer: usize, ending: Arc<AtomicBool>, acknowledged: Acknowledged) {
    let mut number = 0;
    while !ending.load(Ordering::Relaxed) {
        let name = format!("w{writer}-{number}");
        number += 1;
        let object = json!({ "metadata": { "name": name }, "data": { "whole": "x".repeat(WHOLE) } });
        match client.create::<ConfigMap>(&Resource::CONFIG_MAPS, "default", &object).await {
            Ok(created) => {
                acknowledged.lock().unwrap().insert(name, created.metadata.revision());
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// Watches from revision to revision, over every death of the server, without ever listing; notes every event of a
/// writer. Ends only by a panic: when events are out of order, or when the server wants a list.
pub async fn watch(client: Client, from: u64, seen: Acknowledged) {
    let mut version = from;
    loop {
        let params = WatchParams { resource_version: version.to_string(), ..WatchParams::default() };
        let mut stream = match client.watch::<ConfigMap>(&Resource::CONFIG_MAPS, "default", &params).await {
            Ok(stream) => stream,
            Err(error) => {
                assert!(!error.is_gone(), "a watch resumes without a list: {error}");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        while let Some(event) = stream.next().await {
            match event {
                Ok(WatchEvent::Added(object)) => {
                    let revision = object.metadata.revision();
                    assert!(revision > version, "events come in order: {revision} after {version}");
                    version = revision;
                    if object.metadata.name.starts_with('w') {
                        let before = seen.lock().unwrap().insert(object.metadata.name, revision);
                        assert_eq!(before, None, "an object is added once");
                    }
                }
                Ok(WatchEvent::Bookmark { resource_version }) => {
                    version = resource_version.parse().unwrap_or(version).max(version);
                }
                Ok(WatchEvent::Modified(_) | WatchEvent::Deleted(_)) => panic!("nobody changes anything"),
                Err(error) => assert!(!error.is_gone(), "a watch resumes without a list: {error}"),
            }
        }
    }
}

/// The writers' objects, each of them whole.
fn written(stored: &List<ConfigMap>) -> Writes {
    let of_writers = stored.items.iter().filter(|c| c.metadata.name.starts_with('w'));
    of_writers
        .map(|c| {
            assert_eq!(c.data["whole"].len(), WHOLE, "no half write");
            (c.metadata.name.clone(), c.metadata.revision())
        })
        .collect()
}

/// How many acknowledged writes are not there as they were acknowledged.
pub fn lost(acknowledged: &Writes, stored: &List<ConfigMap>) -> usize {
    let found = written(stored);
    acknowledged.iter().filter(|(name, revision)| found.get(*name) != Some(*revision)).count()
}

/// Every acknowledged write is there; returns all that are.
pub fn assert_kept(runtime: &Runtime, cluster: &TestCluster, acknowledged: &Writes) -> Writes {
    let stored = eventually("the last list", LIMIT, || {
        runtime.block_on(list(&client(cluster))).map_err(|error| error.to_string())
    });
    let found = written(&stored);
    for (name, revision) in acknowledged {
        assert_eq!(found.get(name), Some(revision), "{name} was acknowledged");
    }
    found
}
