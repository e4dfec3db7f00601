//! The default ServiceAccount of every namespace.

mod exec;
mod plan;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::shared::Shared;
use crate::worker::serve;
use exec::ServiceAccounts;
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::views::{Namespace, ServiceAccount};
use std::sync::Arc;

const WORKERS: usize = 2;

/// What wakes this controller.
enum Event {
    Namespace(Change<Namespace>),
    Account(Change<ServiceAccount>),
}

pub(crate) fn start(context: &Context<'_>) {
    let accounts = Arc::new(ServiceAccounts {
        client: context.client("service-account-controller"),
        shared: context.shared.clone(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "serviceaccount", &queue, WORKERS, move |key| {
        let accounts = accounts.clone();
        async move { accounts.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut namespaces, mut accounts) = (shared.namespaces.subscribe(), shared.service_accounts.subscribe());
    loop {
        let event = tokio::select! {
            Some(change) = namespaces.recv() => Event::Namespace(change),
            Some(change) = accounts.recv() => Event::Account(change),
            else => return,
        };
        match event {
            Event::Namespace(Change::Applied { new, .. }) => queue.add(new.metadata.key()),
            Event::Account(Change::Deleted(last)) => queue.add(Key::new("", &last.metadata.namespace)),
            Event::Namespace(Change::Deleted(_)) | Event::Account(Change::Applied { .. }) => {}
            Event::Namespace(Change::Resync) | Event::Account(Change::Resync) => {
                shared.namespaces.store().list().iter().for_each(|n| queue.add(n.metadata.key()));
            }
        }
    }
}
