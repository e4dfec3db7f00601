//! Pods of nodes that are gone, pods that are deleted before any node had them, and pods that have ended beyond a
//! number (kube-controller-manager's `--terminated-pod-gc-threshold`).

mod exec;
mod plan;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::shared::{BY_NODE, Shared};
use crate::worker::serve;
use exec::PodGc;
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::views::{Node, Pod};
use std::sync::Arc;
use std::time::Duration;

const WORKERS: usize = 2;

/// What wakes this controller.
enum Event {
    Pod(Change<Pod>),
    Node(Change<Node>),
}

pub(crate) fn start(context: &Context<'_>) {
    let gc = Arc::new(PodGc {
        client: context.client("pod-garbage-collector"),
        shared: context.shared.clone(),
        missing: Default::default(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    let (period, max) = (context.config.terminated_pods_period, context.config.terminated_pods_max);
    context.tasks.spawn(cap(gc.clone(), period, max));
    serve(&context.tasks, "podgc", &queue, WORKERS, move |key| {
        let gc = gc.clone();
        async move { gc.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut pods, mut nodes) = (shared.pods.subscribe(), shared.nodes.subscribe());
    shared.pods.synced().await;
    shared.nodes.synced().await;
    loop {
        let event = tokio::select! {
            Some(change) = pods.recv() => Event::Pod(change),
            Some(change) = nodes.recv() => Event::Node(change),
            else => return,
        };
        match event {
            Event::Pod(Change::Applied { new, .. }) => wake(&shared, &queue, &new),
            Event::Node(Change::Deleted(last)) => {
                let pods = shared.pods.store().by_index(BY_NODE, &last.metadata.name);
                pods.iter().for_each(|p| wake(&shared, &queue, p));
            }
            Event::Pod(Change::Deleted(_)) | Event::Node(Change::Applied { .. }) => {}
            Event::Pod(Change::Resync) | Event::Node(Change::Resync) => {
                shared.pods.store().list().iter().for_each(|p| wake(&shared, &queue, p));
            }
        }
    }
}

/// Keeps the number of pods that have ended below `max`.
async fn cap(gc: Arc<PodGc>, period: Duration, max: usize) {
    gc.shared.pods.synced().await;
    loop {
        tokio::time::sleep(period).await;
        gc.remove_surplus(max).await;
    }
}

/// Wakes a pod that no agent looks after.
fn wake(shared: &Shared, queue: &Queue<Key>, pod: &Pod) {
    let node = pod.spec.node_name.as_str();
    let unscheduled = node.is_empty() && pod.metadata.is_deleting();
    if unscheduled || (!node.is_empty() && shared.nodes.store().get("", node).is_none()) {
        queue.add(pod.metadata.key());
    }
}
