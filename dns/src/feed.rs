//! Keeps the zone at the heels of the API: three views in, changed names out.

use crate::compile;
use crate::zone::{Source, Zone};
use keelson_api::resource::Resource;
use keelson_client::Client;
use keelson_client::informer::{Change, Informer, Options, Scope};
use keelson_client::views::{EndpointSlice, Meta, Namespace, Service, View};
use std::collections::HashSet;
use std::sync::Arc;

/// The index of slices by the service that they belong to.
const BY_SERVICE: &str = "service";

/// The views that answers are compiled from.
struct Views {
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
    namespaces: Informer<Namespace>,
}

/// Everything that wakes the feed.
enum Event {
    Service(Change<Service>),
    Slice(Change<EndpointSlice>),
    Namespace(Change<Namespace>),
}

/// Follows the API until the task is dropped.
pub async fn run(client: Client, zone: Arc<Zone>) {
    let slices = Options { indexes: vec![(BY_SERVICE, service_key)], ..Options::default() };
    let views = Views {
        services: Informer::spawn(client.clone(), Resource::SERVICES, Scope::default()),
        slices: Informer::spawn_with(client.clone(), Resource::ENDPOINT_SLICES, Scope::default(), slices),
        namespaces: Informer::spawn(client, Resource::NAMESPACES, Scope::default()),
    };
    let (mut services, mut slices, mut namespaces) =
        (views.services.subscribe(), views.slices.subscribe(), views.namespaces.subscribe());
    views.services.synced().await;
    views.slices.synced().await;
    views.namespaces.synced().await;
    rebuild(&views, &zone);
    zone.set_synced(true);
    tracing::info!(services = views.services.store().len(), "DNS is in sync");
    loop {
        let event = tokio::select! {
            Some(change) = services.recv() => Event::Service(change),
            Some(change) = slices.recv() => Event::Slice(change),
            Some(change) = namespaces.recv() => Event::Namespace(change),
            else => return,
        };
        apply(&views, &zone, &event);
    }
}

fn apply(views: &Views, zone: &Zone, event: &Event) {
    match event {
        Event::Service(Change::Resync) | Event::Slice(Change::Resync) | Event::Namespace(Change::Resync) => {
            rebuild(views, zone);
        }
        Event::Service(change) => {
            for meta in touched(change) {
                set_service(views, zone, &meta.namespace, &meta.name);
            }
        }
        Event::Slice(change) => {
            for slice in touched_objects(change) {
                if let Some(name) = slice.service_name() {
                    set_service(views, zone, &slice.metadata.namespace, name);
                }
            }
        }
        Event::Namespace(change) => {
            for meta in touched(change) {
                set_namespace(views, zone, &meta.name);
            }
        }
    }
}

/// The object before and after a change: a slice may have moved to another service.
fn touched_objects<T>(change: &Change<T>) -> impl Iterator<Item = &Arc<T>> {
    let (old, new) = match change {
        Change::Applied { old, new } => (old.as_ref(), Some(new)),
        Change::Deleted(old) => (Some(old), None),
        Change::Resync => (None, None),
    };
    old.into_iter().chain(new)
}

fn touched<T: View>(change: &Change<T>) -> impl Iterator<Item = &Meta> {
    touched_objects(change).map(|object| object.meta())
}

fn service_key(slice: &EndpointSlice) -> Vec<String> {
    slice.service_name().map(|name| key(&slice.metadata.namespace, name)).into_iter().collect()
}

fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

fn set_service(views: &Views, zone: &Zone, namespace: &str, name: &str) {
    let source = Source::Service { namespace: namespace.to_owned(), name: name.to_owned() };
    let records = match views.services.store().get(namespace, name) {
        Some(service) => {
            let slices = views.slices.store().by_index(BY_SERVICE, &key(namespace, name));
            compile::service(&service, slices.iter().map(Arc::as_ref), &zone.apex)
        }
        None => Vec::new(),
    };
    zone.set(source, records);
}

fn set_namespace(views: &Views, zone: &Zone, name: &str) {
    let exists = views.namespaces.store().get("", name).is_some();
    let records = if exists { compile::namespace(name, &zone.apex) } else { Vec::new() };
    zone.set(Source::Namespace(name.to_owned()), records);
}

/// Compiles everything, and forgets what is gone.
fn rebuild(views: &Views, zone: &Zone) {
    let mut current = HashSet::from([Source::Zone]);
    for namespace in views.namespaces.store().list() {
        let name = &namespace.metadata.name;
        set_namespace(views, zone, name);
        current.insert(Source::Namespace(name.clone()));
    }
    for service in views.services.store().list() {
        let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
        set_service(views, zone, namespace, name);
        current.insert(Source::Service { namespace: namespace.clone(), name: name.clone() });
    }
    for gone in zone.sources().into_iter().filter(|source| !current.contains(source)) {
        zone.set(gone, Vec::new());
    }
}
