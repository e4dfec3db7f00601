//! Objects whose owners are gone, and owners that wait for their objects.
//!
//! It follows the metadata of every kind that is served, as discovery lists them when it starts.

mod exec;
mod graph;
mod plan;
#[cfg(test)]
mod tests;

use crate::context::{Context, Tasks};
use crate::namespace::content_ended;
use crate::worker::serve;
use exec::Garbage;
use graph::Graph;
use keelson_client::informer::{Change, Informer, Options, Scope};
use keelson_client::queue::Queue;
use keelson_client::views::{Meta, OwnerReference};
use keelson_client::{Client, Resource, Served, View};
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

const WORKERS: usize = 20;
/// Pause after discovery failed.
const DISCOVERY_RETRY: Duration = Duration::from_secs(1);

/// Just what the graph needs of an object: labels and annotations of everything would be most of the memory.
struct Slim(Meta);

#[derive(Deserialize, Default)]
#[serde(default)]
struct SlimObject {
    metadata: SlimMeta,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SlimMeta {
    name: String,
    namespace: String,
    uid: String,
    resource_version: String,
    deletion_timestamp: Option<jiff::Timestamp>,
    owner_references: Vec<OwnerReference>,
    finalizers: Vec<String>,
}

impl<'de> Deserialize<'de> for Slim {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let slim = SlimObject::deserialize(deserializer)?.metadata;
        Ok(Self(Meta {
            name: slim.name,
            namespace: slim.namespace,
            uid: slim.uid,
            resource_version: slim.resource_version,
            deletion_timestamp: slim.deletion_timestamp,
            owner_references: slim.owner_references,
            finalizers: slim.finalizers,
            ..Meta::default()
        }))
    }
}

impl View for Slim {
    fn meta(&self) -> &Meta {
        &self.0
    }
}

/// Told the namespace of an object that is gone.
type Ended = Arc<dyn Fn(&str) + Send + Sync>;

/// Starts the collector; the receiver is told when every kind has been read.
pub(crate) fn start(context: &Context<'_>, reader: Client) -> oneshot::Receiver<()> {
    let (all_read, told) = oneshot::channel();
    let client = context.client("generic-garbage-collector");
    let (tasks, seed) = (context.tasks.clone(), context.config.seed);
    let (shared, emptying) = (context.shared.clone(), context.emptying.clone());
    context.tasks.spawn(async move {
        let served = discover(&reader).await;
        let kinds =
            served.iter().map(|s| ((s.resource.group.to_owned(), s.resource.kind.to_owned()), s.resource));
        let garbage = Arc::new(Garbage {
            client,
            graph: Mutex::new(Graph::default()),
            queue: Queue::new(),
            kinds: kinds.collect(),
        });
        let ended = move |namespace: &str| content_ended(&shared, &emptying, namespace);
        follow_all(&tasks, &reader, &served, &garbage, (seed, Arc::new(ended))).await;
        // Nobody has to listen.
        let _ = all_read.send(());
        let queue = garbage.queue.clone();
        serve(&tasks, "garbage", &queue, WORKERS, move |work| garbage.clone().reconcile(work));
    });
    told
}

async fn discover(reader: &Client) -> Vec<Served> {
    loop {
        match reader.discover().await {
            Ok(served) => return served,
            Err(e) => tracing::warn!(error = %e, "discovery failed; retrying"),
        }
        tokio::time::sleep(DISCOVERY_RETRY).await;
    }
}

/// Events own nothing and are many.
fn is_followed(served: &Served) -> bool {
    let verbs = ["list", "watch", "delete"].iter().all(|v| served.has_verb(v));
    verbs && served.resource.plural != Resource::EVENTS.plural
}

/// Returns when every kind has been read once: before that, an owner may merely not have been seen.
async fn follow_all(
    tasks: &Tasks,
    reader: &Client,
    served: &[Served],
    garbage: &Arc<Garbage>,
    (seed, ended): (u64, Ended),
) {
    let mut informers = Vec::new();
    for (index, served) in served.iter().filter(|s| is_followed(s)).enumerate() {
        let options = Options::<Slim> {
            seed: seed.wrapping_add(100 + index as u64),
            metadata_only: true,
            ..Options::default()
        };
        let resource = served.resource;
        informers.push((resource, Informer::spawn_with(reader.clone(), resource, Scope::default(), options)));
    }
    for (_, informer) in &informers {
        informer.synced().await;
    }
    for (resource, informer) in informers {
        tasks.spawn(follow(resource, informer, garbage.clone(), ended.clone()));
    }
}

async fn follow(resource: Resource, informer: Informer<Slim>, garbage: Arc<Garbage>, ended: Ended) {
    let mut feed = informer.subscribe();
    while let Some(change) = feed.recv().await {
        match change {
            Change::Applied { new, .. } => garbage.observe(resource, &new.0),
            Change::Deleted(last) => {
                garbage.gone(&last.0.uid);
                ended(&last.0.namespace);
            }
            Change::Resync => {
                let objects = informer.store().list();
                let alive: HashSet<&str> = objects.iter().map(|o| o.0.uid.as_str()).collect();
                let known = garbage.graph.lock().uids_of(&resource);
                known.iter().filter(|uid| !alive.contains(uid.as_str())).for_each(|uid| garbage.gone(uid));
                objects.iter().for_each(|o| garbage.observe(resource, &o.0));
            }
        }
    }
}
