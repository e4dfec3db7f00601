//! The legacy Endpoints object of each Service with a selector.

mod exec;
mod plan;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::endpointslice::wake_by_pod;
use crate::shared::Shared;
use crate::worker::serve;
use crate::written::Written;
use exec::EndpointsControl;
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::views::{Endpoints, Pod, Service};
use plan::{MANAGED_BY, MANAGER};
use std::sync::Arc;

const WORKERS: usize = 5;

/// What wakes this controller.
enum Event {
    Service(Change<Service>),
    Pod(Change<Pod>),
    Endpoints(Change<Endpoints>),
}

pub(crate) fn start(context: &Context<'_>) {
    let endpoints = Arc::new(EndpointsControl {
        client: context.client("endpoint-controller"),
        shared: context.shared.clone(),
        written: Written::default(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "endpoints", &queue, WORKERS, move |key| {
        let endpoints = endpoints.clone();
        async move { endpoints.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut services, mut pods) = (shared.services.subscribe(), shared.pods.subscribe());
    let mut endpoints = shared.endpoints.subscribe();
    shared.pods.synced().await;
    shared.endpoints.synced().await;
    loop {
        let event = tokio::select! {
            Some(change) = pods.recv() => Event::Pod(change),
            Some(change) = services.recv() => Event::Service(change),
            Some(change) = endpoints.recv() => Event::Endpoints(change),
            else => return,
        };
        match event {
            Event::Service(Change::Applied { new: service, .. } | Change::Deleted(service)) => {
                queue.add(service.metadata.key());
            }
            Event::Pod(change) if !wake_by_pod(&shared, &queue, &change) => {}
            // Objects that users keep for Services without a selector are not ours: reconcile looks.
            Event::Endpoints(Change::Applied { new, .. }) => {
                if shared.services.store().get(&new.metadata.namespace, &new.metadata.name).is_some() {
                    queue.add(new.metadata.key());
                }
            }
            Event::Endpoints(Change::Deleted(last)) => queue.add(last.metadata.key()),
            Event::Service(Change::Resync) | Event::Endpoints(Change::Resync) | Event::Pod(_) => {
                shared.services.store().list().iter().for_each(|s| queue.add(s.metadata.key()));
                // Objects of Services that went while nobody looked.
                let ours = |e: &&Arc<Endpoints>| e.metadata.label(MANAGED_BY) == Some(MANAGER);
                let all = shared.endpoints.store().list();
                all.iter().filter(ours).for_each(|e| queue.add(e.metadata.key()));
            }
        }
    }
}
