//! The cluster's CA certificate in every namespace, for pods to trust the API server.

mod exec;
mod plan;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::shared::Shared;
use crate::worker::serve;
use exec::RootCas;
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::views::{ConfigMap, Namespace};
use std::sync::Arc;

const WORKERS: usize = 2;

/// What wakes this controller.
enum Event {
    Namespace(Change<Namespace>),
    Map(Change<ConfigMap>),
}

pub(crate) fn start(context: &Context<'_>) {
    let maps = Arc::new(RootCas {
        client: context.client("root-ca-cert-publisher"),
        shared: context.shared.clone(),
        ca_pem: context.config.cluster_ca_pem.clone(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "rootca", &queue, WORKERS, move |key| {
        let maps = maps.clone();
        async move { maps.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut namespaces, mut maps) = (shared.namespaces.subscribe(), shared.root_cas.subscribe());
    loop {
        let event = tokio::select! {
            Some(change) = namespaces.recv() => Event::Namespace(change),
            Some(change) = maps.recv() => Event::Map(change),
            else => return,
        };
        match event {
            Event::Namespace(Change::Applied { new, .. }) => queue.add(new.metadata.key()),
            Event::Map(Change::Applied { new: map, .. } | Change::Deleted(map)) => {
                queue.add(Key::new("", &map.metadata.namespace));
            }
            Event::Namespace(Change::Deleted(_)) => {}
            Event::Namespace(Change::Resync) | Event::Map(Change::Resync) => {
                shared.namespaces.store().list().iter().for_each(|n| queue.add(n.metadata.key()));
            }
        }
    }
}
