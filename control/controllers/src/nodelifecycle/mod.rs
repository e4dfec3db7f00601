//! Nodes: noticing that one is lost, and taints by condition.

mod exec;
mod plan;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::shared::Shared;
use crate::worker::serve;
use crate::written::Written;
use exec::Lifecycle;
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::recorder::Recorder;
use keelson_client::views::{Lease, Node};
use plan::Graces;
use std::sync::Arc;
use tokio::time::Instant;

const WORKERS: usize = 4;

/// What wakes this controller.
enum Event {
    Node(Change<Node>),
    Lease(Change<Lease>),
}

pub(crate) fn start(context: &Context<'_>) {
    let client = context.client("node-controller");
    let config = context.config;
    let lifecycle = Arc::new(Lifecycle {
        recorder: Recorder::spawn(client.clone(), "node-controller", ""),
        client,
        shared: context.shared.clone(),
        graces: Graces { known: config.node_grace, startup: config.node_startup_grace },
        heard: Default::default(),
        start: Instant::now(),
        written: Written::default(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "nodelifecycle", &queue, WORKERS, move |key| {
        let lifecycle = lifecycle.clone();
        async move { lifecycle.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut nodes, mut leases) = (shared.nodes.subscribe(), shared.leases.subscribe());
    shared.pods.synced().await;
    loop {
        let event = tokio::select! {
            Some(change) = nodes.recv() => Event::Node(change),
            Some(change) = leases.recv() => Event::Lease(change),
            else => return,
        };
        match event {
            Event::Node(Change::Applied { new: node, .. } | Change::Deleted(node)) => {
                queue.add(node.metadata.key());
            }
            // A lease has its node's name.
            Event::Lease(Change::Applied { new: lease, .. } | Change::Deleted(lease)) => {
                queue.add(Key::new("", &lease.metadata.name));
            }
            Event::Node(Change::Resync) | Event::Lease(Change::Resync) => {
                shared.nodes.store().list().iter().for_each(|n| queue.add(n.metadata.key()));
            }
        }
    }
}
