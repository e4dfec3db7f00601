//! A pod range for every node.

mod exec;
mod plan;
#[cfg(test)]
mod tests;

pub use plan::{Range, RangeError};

use crate::context::Context;
use crate::shared::Shared;
use crate::worker::serve;
use exec::NodeIpam;
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::recorder::Recorder;
use keelson_client::views::Node;
use parking_lot::Mutex;
use plan::Pool;
use std::sync::Arc;

pub(crate) fn start(context: &Context<'_>) {
    let pool = Arc::new(Mutex::new(Pool::new(context.config.pod_range)));
    let client = context.client("node-controller");
    let ipam = Arc::new(NodeIpam {
        recorder: Recorder::spawn(client.clone(), "cidrAllocator", ""),
        client,
        shared: context.shared.clone(),
        pool: pool.clone(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone(), pool));
    serve(&context.tasks, "nodeipam", &queue, 1, move |key| {
        let ipam = ipam.clone();
        async move { ipam.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>, pool: Arc<Mutex<Pool>>) {
    let mut nodes = shared.nodes.subscribe();
    while let Some(change) = nodes.recv().await {
        match change {
            Change::Applied { new, .. } => take(&pool, &queue, &new),
            Change::Deleted(last) => queue.add(last.metadata.key()),
            Change::Resync => {
                // All ranges in use are noted before the first one is given out.
                let all = shared.nodes.store().list();
                all.iter().for_each(|n| pool.lock().occupy(&n.metadata.name, n.pod_cidrs()));
                all.iter().for_each(|n| queue.add(n.metadata.key()));
            }
        }
    }
}

fn take(pool: &Mutex<Pool>, queue: &Queue<Key>, node: &Node) {
    pool.lock().occupy(&node.metadata.name, node.pod_cidrs());
    queue.add(node.metadata.key());
}
