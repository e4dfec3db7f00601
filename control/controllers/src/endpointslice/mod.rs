//! EndpointSlices of Services with a selector.

pub(crate) mod desired;
pub(crate) mod exec;
pub(crate) mod plan;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::shared::Shared;
use crate::worker::serve;
use crate::written::Written;
use exec::{Slices, selects, zone};
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::views::{EndpointSlice, Node, Pod, Service};
use std::sync::Arc;

const WORKERS: usize = 5;

/// What wakes this controller.
enum Event {
    Service(Change<Service>),
    Pod(Change<Pod>),
    Slice(Change<EndpointSlice>),
    Node(Change<Node>),
}

pub(crate) fn start(context: &Context<'_>) {
    let slices = Arc::new(Slices {
        client: context.client("endpointslice-controller"),
        shared: context.shared.clone(),
        written: Written::default(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "endpointslice", &queue, WORKERS, move |key| {
        let slices = slices.clone();
        async move { slices.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut services, mut pods) = (shared.services.subscribe(), shared.pods.subscribe());
    let (mut slices, mut nodes) = (shared.slices.subscribe(), shared.nodes.subscribe());
    // Endpoints of pods that are merely not known yet would be taken out of use.
    shared.pods.synced().await;
    shared.slices.synced().await;
    shared.nodes.synced().await;
    loop {
        let event = tokio::select! {
            Some(change) = pods.recv() => Event::Pod(change),
            Some(change) = services.recv() => Event::Service(change),
            Some(change) = slices.recv() => Event::Slice(change),
            Some(change) = nodes.recv() => Event::Node(change),
            else => return,
        };
        match event {
            Event::Service(Change::Applied { new, .. }) => queue.add(new.metadata.key()),
            Event::Pod(change) if !wake_by_pod(&shared, &queue, &change) => {}
            Event::Slice(Change::Applied { new: slice, .. } | Change::Deleted(slice)) => {
                if let Some(service) = slice.service_name() {
                    queue.add(Key::new(&slice.metadata.namespace, service));
                }
            }
            Event::Service(Change::Deleted(_)) | Event::Node(Change::Deleted(_)) => {}
            Event::Node(Change::Applied { old, new }) if old.as_deref().and_then(zone) == zone(&new) => {}
            Event::Service(Change::Resync)
            | Event::Slice(Change::Resync)
            | Event::Pod(_)
            | Event::Node(Change::Applied { .. } | Change::Resync) => {
                shared.services.store().list().iter().for_each(|s| queue.add(s.metadata.key()));
            }
        }
    }
}

/// Wakes the Services of a pod that changed in a way that endpoints show. True when all have to be woken.
pub(crate) fn wake_by_pod(shared: &Shared, queue: &Queue<Key>, change: &Change<Pod>) -> bool {
    let (old, new) = match change {
        Change::Resync => return true,
        Change::Applied { old, new } => (old.as_ref(), Some(new)),
        Change::Deleted(last) => (Some(last), None),
    };
    if let (Some(old), Some(new)) = (old, new)
        && same_endpoint(old, new)
    {
        return false;
    }
    let Some(either) = new.or(old) else { return false };
    for service in shared.services.store().list_namespace(&either.metadata.namespace) {
        if old.into_iter().chain(new).any(|pod| selects(&service, pod)) {
            queue.add(service.metadata.key());
        }
    }
    false
}

/// Whether nothing changed that endpoints are made from.
fn same_endpoint(a: &Pod, b: &Pod) -> bool {
    a.metadata.uid == b.metadata.uid
        && a.metadata.labels == b.metadata.labels
        && a.metadata.is_deleting() == b.metadata.is_deleting()
        && a.spec.node_name == b.spec.node_name
        && a.spec.hostname == b.spec.hostname
        && a.is_ready() == b.is_ready()
        && a.is_terminal() == b.is_terminal()
        && a.ips().eq(b.ips())
}
