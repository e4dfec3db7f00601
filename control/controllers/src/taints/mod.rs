//! Eviction of pods from nodes with NoExecute taints that they do not tolerate.

pub(crate) mod exec;
mod plan;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::shared::{BY_NODE, Shared};
use crate::worker::serve;
use exec::Evictions;
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::recorder::Recorder;
use keelson_client::views::{Node, Pod, Taint};
use std::sync::Arc;

const WORKERS: usize = 4;

/// What wakes this controller.
enum Event {
    Pod(Change<Pod>),
    Node(Change<Node>),
}

pub(crate) fn start(context: &Context<'_>) {
    let client = context.client("node-controller");
    let evictions = Arc::new(Evictions {
        recorder: Recorder::spawn(client.clone(), "taint-eviction-controller", ""),
        client,
        shared: context.shared.clone(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "taints", &queue, WORKERS, move |key| {
        let evictions = evictions.clone();
        async move { evictions.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut pods, mut nodes) = (shared.pods.subscribe(), shared.nodes.subscribe());
    shared.pods.synced().await;
    loop {
        let event = tokio::select! {
            Some(change) = pods.recv() => Event::Pod(change),
            Some(change) = nodes.recv() => Event::Node(change),
            else => return,
        };
        match event {
            Event::Pod(Change::Applied { old, new }) => {
                let placed = |pod: &Pod| (pod.spec.node_name.clone(), pod.spec.tolerations.clone());
                if old.is_none_or(|old| placed(&old) != placed(&new)) && on_tainted_node(&shared, &new) {
                    queue.add(new.metadata.key());
                }
            }
            Event::Node(Change::Applied { old, new }) => {
                if old.is_none_or(|old| evicting(&old) != evicting(&new)) && !evicting(&new).is_empty() {
                    wake(&shared, &queue, &new);
                }
            }
            Event::Pod(Change::Deleted(_)) | Event::Node(Change::Deleted(_)) => {}
            Event::Pod(Change::Resync) | Event::Node(Change::Resync) => {
                let nodes = shared.nodes.store().list();
                nodes.iter().filter(|n| !evicting(n).is_empty()).for_each(|n| wake(&shared, &queue, n));
            }
        }
    }
}

fn evicting(node: &Node) -> Vec<&Taint> {
    node.spec.taints.iter().filter(|t| t.effect == "NoExecute").collect()
}

fn on_tainted_node(shared: &Shared, pod: &Pod) -> bool {
    shared.nodes.store().get("", &pod.spec.node_name).is_some_and(|node| !evicting(&node).is_empty())
}

fn wake(shared: &Shared, queue: &Queue<Key>, node: &Node) {
    let pods = shared.pods.store().by_index(BY_NODE, &node.metadata.name);
    pods.iter().for_each(|p| queue.add(p.metadata.key()));
}
