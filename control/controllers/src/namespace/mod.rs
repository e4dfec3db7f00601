//! Namespaces that are being deleted: their content goes first.

mod exec;
mod plan;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::shared::Shared;
use crate::worker::serve;
use exec::Namespaces;
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::views::{Namespace, Pod};
use std::sync::Arc;

const WORKERS: usize = 10;

/// What wakes this controller.
enum Event {
    Namespace(Change<Namespace>),
    /// The end of a pod may be what a deletion waits for.
    Pod(Change<Pod>),
}

pub(crate) fn start(context: &Context<'_>) {
    let namespaces = Arc::new(Namespaces { client: context.client("namespace-controller") });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "namespace", &queue, WORKERS, move |key| {
        let namespaces = namespaces.clone();
        async move { namespaces.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut namespaces, mut pods) = (shared.namespaces.subscribe(), shared.pods.subscribe());
    loop {
        let event = tokio::select! {
            Some(change) = namespaces.recv() => Event::Namespace(change),
            Some(change) = pods.recv() => Event::Pod(change),
            else => return,
        };
        match event {
            Event::Namespace(Change::Applied { new, .. }) => wake(&queue, &new),
            Event::Pod(Change::Deleted(last)) => {
                if let Some(namespace) = shared.namespaces.store().get("", &last.metadata.namespace) {
                    wake(&queue, &namespace);
                }
            }
            Event::Namespace(Change::Deleted(_)) | Event::Pod(Change::Applied { .. }) => {}
            Event::Namespace(Change::Resync) | Event::Pod(Change::Resync) => {
                shared.namespaces.store().list().iter().for_each(|n| wake(&queue, n));
            }
        }
    }
}

fn wake(queue: &Queue<Key>, namespace: &Namespace) {
    if namespace.metadata.is_deleting() {
        queue.add(namespace.metadata.key());
    }
}
