//! Deployments: one ReplicaSet per revision of the template, and the way from one to the next.

mod exec;
mod plan;
mod rolling;
mod rounding;
mod set;
mod status;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::shared::Shared;
use crate::worker::serve;
use crate::written::Written;
use exec::Deployments;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::recorder::Recorder;
use keelson_client::views::{Deployment, Pod, ReplicaSet};
use keelson_client::{Key, Resource};
use std::sync::Arc;

const WORKERS: usize = 5;

/// What wakes this controller.
enum Event {
    Deployment(Change<Deployment>),
    Set(Change<ReplicaSet>),
    /// Only the end of a pod matters here: `Recreate` waits for it.
    Pod(Change<Pod>),
}

pub(crate) fn start(context: &Context<'_>) {
    let client = context.client("deployment-controller");
    let deployments = Arc::new(Deployments {
        recorder: Recorder::spawn(client.clone(), "deployment-controller", ""),
        client,
        shared: context.shared.clone(),
        sets_written: Written::default(),
        written: Written::default(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "deployment", &queue, WORKERS, move |key| {
        let deployments = deployments.clone();
        async move { deployments.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let mut deployments = shared.deployments.subscribe();
    let (mut sets, mut pods) = (shared.replica_sets.subscribe(), shared.pods.subscribe());
    shared.replica_sets.synced().await;
    shared.pods.synced().await;
    loop {
        let event = tokio::select! {
            Some(change) = deployments.recv() => Event::Deployment(change),
            Some(change) = sets.recv() => Event::Set(change),
            Some(change) = pods.recv() => Event::Pod(change),
            else => return,
        };
        match event {
            Event::Deployment(Change::Applied { new, .. }) => queue.add(new.metadata.key()),
            Event::Deployment(Change::Deleted(_)) => {}
            Event::Set(Change::Applied { old, new }) => {
                if let Some(old) = old {
                    wake(&shared, &queue, &old);
                }
                wake(&shared, &queue, &new);
            }
            Event::Set(Change::Deleted(last)) => wake(&shared, &queue, &last),
            Event::Pod(Change::Applied { new, .. }) if !new.is_terminal() => {}
            Event::Pod(Change::Applied { new: pod, .. } | Change::Deleted(pod)) => {
                ended(&shared, &queue, &pod)
            }
            Event::Deployment(Change::Resync) | Event::Set(Change::Resync) | Event::Pod(Change::Resync) => {
                shared.deployments.store().list().iter().for_each(|d| queue.add(d.metadata.key()));
            }
        }
    }
}

/// Wakes the deployment that owns a set, or those that could adopt it.
fn wake(shared: &Shared, queue: &Queue<Key>, set: &ReplicaSet) {
    let namespace = &set.metadata.namespace;
    match set.metadata.controller() {
        Some(owner) if owner.kind == Resource::DEPLOYMENTS.kind => {
            queue.add(Key::new(namespace, &owner.name))
        }
        Some(_) => {}
        None => {
            let all = shared.deployments.store().list_namespace(namespace);
            let matching = all.iter().filter(|d| d.spec.selector.matches(&set.metadata.labels));
            matching.for_each(|d| queue.add(d.metadata.key()));
        }
    }
}

/// Wakes a deployment that waits for its old pods to end.
fn ended(shared: &Shared, queue: &Queue<Key>, pod: &Pod) {
    let Some(owner) = pod.metadata.controller().filter(|o| o.kind == Resource::REPLICA_SETS.kind) else {
        return;
    };
    let namespace = &pod.metadata.namespace;
    let Some(set) = shared.replica_sets.store().get(namespace, &owner.name) else { return };
    let Some(owner) = set.metadata.controller() else { return };
    let Some(deployment) = shared.deployments.store().get(namespace, &owner.name) else { return };
    if !rounding::is_rolling(&deployment) {
        queue.add(deployment.metadata.key());
    }
}
