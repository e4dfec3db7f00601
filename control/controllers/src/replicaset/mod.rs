//! ReplicaSets: as many pods as asked for, made from the template.

mod exec;
mod plan;
mod rank;
#[cfg(test)]
mod tests;

use crate::claim::{Claim, claim};
use crate::context::Context;
use crate::shared::Shared;
use crate::worker::serve;
use crate::written::Written;
use exec::ReplicaSets;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::recorder::Recorder;
use keelson_client::views::{Pod, ReplicaSet};
use keelson_client::{Key, Resource, View};
use std::sync::Arc;

const WORKERS: usize = 5;

/// What wakes this controller.
enum Event {
    Set(Change<ReplicaSet>),
    Pod(Change<Pod>),
}

pub(crate) fn start(context: &Context<'_>) {
    let client = context.client("replicaset-controller");
    let sets = Arc::new(ReplicaSets {
        recorder: Recorder::spawn(client.clone(), "replicaset-controller", ""),
        client,
        shared: context.shared.clone(),
        pods_written: Written::default(),
        sets_written: Written::default(),
        deleting: Default::default(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "replicaset", &queue, WORKERS, move |key| {
        let sets = sets.clone();
        async move { sets.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut sets, mut pods) = (shared.replica_sets.subscribe(), shared.pods.subscribe());
    // Counting pods before they are all known would create them again.
    shared.pods.synced().await;
    loop {
        let event = tokio::select! {
            Some(change) = sets.recv() => Event::Set(change),
            Some(change) = pods.recv() => Event::Pod(change),
            else => return,
        };
        match event {
            Event::Set(Change::Applied { new, .. }) => queue.add(new.metadata.key()),
            Event::Set(Change::Deleted(last)) => queue.add(last.metadata.key()),
            Event::Pod(Change::Applied { old, new }) => {
                if let Some(old) = old {
                    wake(&shared, &queue, &old);
                }
                wake(&shared, &queue, &new);
            }
            Event::Pod(Change::Deleted(last)) => wake(&shared, &queue, &last),
            Event::Set(Change::Resync) | Event::Pod(Change::Resync) => {
                shared.replica_sets.store().list().iter().for_each(|s| queue.add(s.meta().key()));
            }
        }
    }
}

/// Wakes the set that owns a pod, or those that could adopt it.
fn wake(shared: &Shared, queue: &Queue<Key>, pod: &Pod) {
    match pod.metadata.controller() {
        Some(owner) if owner.kind == Resource::REPLICA_SETS.kind => {
            queue.add(Key::new(&pod.metadata.namespace, &owner.name));
        }
        Some(_) => {}
        None => {
            let sets = shared.replica_sets.store().list_namespace(&pod.metadata.namespace);
            let may_adopt = |set: &&Arc<ReplicaSet>| {
                claim(&set.metadata, &set.spec.selector, &pod.metadata) == Claim::Adopt
            };
            sets.iter().filter(may_adopt).for_each(|s| queue.add(s.metadata.key()));
        }
    }
}
