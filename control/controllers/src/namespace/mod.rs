//! Namespaces that are being deleted: their content goes first. The garbage collector, which follows every
//! kind, tells when some of it has ended.

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
use keelson_client::views::Namespace;
use std::sync::Arc;
use std::time::Duration;

const WORKERS: usize = 10;
/// Content that ends is waited for this long, for more to end with it.
const SETTLE: Duration = Duration::from_millis(20);

pub(crate) fn start(context: &Context<'_>) {
    let namespaces = Arc::new(Namespaces { client: context.client("namespace-controller") });
    let queue = context.emptying.clone();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "namespace", &queue, WORKERS, move |key| {
        let namespaces = namespaces.clone();
        async move { namespaces.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let mut namespaces = shared.namespaces.subscribe();
    while let Some(change) = namespaces.recv().await {
        match change {
            Change::Applied { new, .. } => wake(&queue, &new),
            Change::Deleted(_) => {}
            Change::Resync => shared.namespaces.store().list().iter().for_each(|n| wake(&queue, n)),
        }
    }
}

/// Wakes a namespace that is being deleted: content of it has ended. Several ends in a row are one look.
pub(crate) fn content_ended(shared: &Shared, queue: &Queue<Key>, namespace: &str) {
    let namespace = shared.namespaces.store().get("", namespace);
    if let Some(namespace) = namespace.filter(|n| n.metadata.is_deleting()) {
        queue.add_after(namespace.metadata.key(), SETTLE);
    }
}

fn wake(queue: &Queue<Key>, namespace: &Namespace) {
    if namespace.metadata.is_deleting() {
        queue.add(namespace.metadata.key());
    }
}
