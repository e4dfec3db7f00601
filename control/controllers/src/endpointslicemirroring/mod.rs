//! EndpointSlices of Endpoints objects that users keep for Services without a selector.
//!
//! Readers of endpoints look at slices alone; without a mirror such a Service would have no backends.

mod exec;
mod plan;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::shared::Shared;
use crate::worker::serve;
use crate::written::Written;
use exec::Mirror;
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::views::{EndpointSlice, Endpoints, Service};
use plan::is_mirror;
use std::sync::Arc;

const WORKERS: usize = 2;

/// What wakes this controller.
enum Event {
    Endpoints(Change<Endpoints>),
    Service(Change<Service>),
    Slice(Change<EndpointSlice>),
}

pub(crate) fn start(context: &Context<'_>) {
    let mirror = Arc::new(Mirror {
        client: context.client("endpointslicemirroring-controller"),
        shared: context.shared.clone(),
        written: Written::default(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "endpointslicemirroring", &queue, WORKERS, move |key| {
        let mirror = mirror.clone();
        async move { mirror.reconcile(key).await }
    });
}

/// Keys are of the Endpoints object and its Service, which have one name.
async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut endpoints, mut services) = (shared.endpoints.subscribe(), shared.services.subscribe());
    let mut slices = shared.slices.subscribe();
    // Mirrors of what is merely not known yet would be deleted.
    shared.endpoints.synced().await;
    shared.services.synced().await;
    shared.slices.synced().await;
    loop {
        let event = tokio::select! {
            Some(change) = endpoints.recv() => Event::Endpoints(change),
            Some(change) = services.recv() => Event::Service(change),
            Some(change) = slices.recv() => Event::Slice(change),
            else => return,
        };
        match event {
            Event::Endpoints(Change::Applied { new: object, .. } | Change::Deleted(object)) => {
                queue.add(object.metadata.key());
            }
            Event::Service(Change::Applied { new: object, .. } | Change::Deleted(object)) => {
                queue.add(object.metadata.key());
            }
            Event::Slice(Change::Applied { new: slice, .. } | Change::Deleted(slice)) => {
                mirrored(&slice).into_iter().for_each(|key| queue.add(key));
            }
            Event::Endpoints(Change::Resync)
            | Event::Service(Change::Resync)
            | Event::Slice(Change::Resync) => {
                shared.endpoints.store().list().iter().for_each(|e| queue.add(e.metadata.key()));
                // Mirrors of objects that went while nobody looked.
                let all = shared.slices.store().list();
                all.iter().filter_map(|slice| mirrored(slice)).for_each(|key| queue.add(key));
            }
        }
    }
}

/// Of which object a slice is the mirror.
fn mirrored(slice: &EndpointSlice) -> Option<Key> {
    let name = slice.service_name().filter(|_| is_mirror(slice))?;
    Some(Key::new(&slice.metadata.namespace, name))
}
