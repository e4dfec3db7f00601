//! The views that the data plane follows.

use crate::tables::{Policy, ServiceView, Views};
use keelson_client::informer::{Change, Feed, Informer, Options, Scope};
use keelson_client::views::{EndpointSlice, Key, Node, Pod, Service, View};
use keelson_client::{Client, Resource};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A view and the feed that says when it has changed.
struct Source<T: View> {
    informer: Informer<T>,
    feed: Feed<T>,
}

/// The index of slices by the Service that they name.
const BY_SERVICE: &str = "service";

impl<T: View> Source<T> {
    fn follow(client: &Client, resource: Resource, scope: Scope) -> Self {
        Self::follow_with(client, resource, scope, Options::default())
    }

    fn follow_with(client: &Client, resource: Resource, scope: Scope, options: Options<T>) -> Self {
        let informer = Informer::spawn_with(client.clone(), resource, scope, options);
        let feed = informer.subscribe();
        Self { informer, feed }
    }

    /// Waits for a change. May be dropped without losing one.
    async fn changed(&mut self) -> Change<T> {
        match self.feed.recv().await {
            Some(change) => change,
            // The view has ended with the process; there will be no more news.
            None => std::future::pending().await,
        }
    }
}

/// What has changed.
pub enum Changed {
    /// This node's pods.
    Pods,
    /// Services, endpoints or nodes.
    Tables,
}

/// What the tables have to be brought to.
pub enum Update {
    /// All of it.
    All(Views),
    /// A part.
    Part {
        /// The Services that have changed, or whose endpoints have.
        services: Vec<ServiceView>,
        /// Every Node, when one of them has changed.
        nodes: Option<Vec<Arc<Node>>>,
    },
}

/// What was not taken yet.
#[derive(Default)]
struct Dirty {
    all: bool,
    services: BTreeSet<Key>,
    nodes: bool,
}

impl Dirty {
    fn service(&mut self, change: &Change<Service>) {
        match change {
            Change::Applied { new: service, .. } | Change::Deleted(service) => {
                self.services.insert(service.metadata.key());
            }
            Change::Resync => self.all = true,
        }
    }

    fn slice(&mut self, change: &Change<EndpointSlice>) {
        let (old, new) = match change {
            Change::Applied { old, new } => (old.as_ref(), new),
            Change::Deleted(last) => (None, last),
            Change::Resync => return self.all = true,
        };
        // A slice may have been given to another Service.
        self.services.extend(old.into_iter().chain([new]).filter_map(|slice| service_of(slice)));
    }
}

fn service_of(slice: &EndpointSlice) -> Option<Key> {
    slice.service_name().map(|name| Key::new(&slice.metadata.namespace, name))
}

/// All views.
pub struct Sources {
    services: Source<Service>,
    slices: Source<EndpointSlice>,
    nodes: Source<Node>,
    pods: Source<Pod>,
    dirty: Dirty,
}

impl Sources {
    /// Follows what concerns a node: everything but other nodes' pods.
    pub fn follow(client: &Client, node_name: &str) -> Self {
        let own = Scope { field_selector: format!("spec.nodeName={node_name}"), ..Scope::default() };
        let index =
            |slice: &EndpointSlice| service_of(slice).map(|key| key.to_string()).into_iter().collect();
        let indexed = Options { indexes: vec![(BY_SERVICE, index)], ..Options::default() };
        Self {
            services: Source::follow(client, Resource::SERVICES, Scope::default()),
            slices: Source::follow_with(client, Resource::ENDPOINT_SLICES, Scope::default(), indexed),
            nodes: Source::follow(client, Resource::NODES, Scope::default()),
            pods: Source::follow(client, Resource::PODS, own),
            dirty: Dirty { all: true, ..Dirty::default() },
        }
    }

    /// Waits for a change. May be dropped without losing one.
    pub async fn changed(&mut self) -> Changed {
        tokio::select! {
            // A pod may hold up an ADD.
            biased;
            _ = self.pods.changed() => {
                while self.pods.feed.try_recv().is_some() {}
                return Changed::Pods;
            }
            change = self.services.changed() => self.dirty.service(&change),
            change = self.slices.changed() => self.dirty.slice(&change),
            _ = self.nodes.changed() => self.dirty.nodes = true,
        }
        Changed::Tables
    }

    /// What has changed since this was asked last; `None` while a view has not had its first list.
    pub fn take(&mut self) -> Option<Update> {
        while let Some(change) = self.services.feed.try_recv() {
            self.dirty.service(&change);
        }
        while let Some(change) = self.slices.feed.try_recv() {
            self.dirty.slice(&change);
        }
        while self.nodes.feed.try_recv().is_some() {
            self.dirty.nodes = true;
        }
        if self.dirty.all {
            return self.all().map(Update::All);
        }
        let dirty = std::mem::take(&mut self.dirty);
        let services = dirty.services.into_iter().map(|key| self.service(key)).collect();
        Some(Update::Part { services, nodes: dirty.nodes.then(|| self.nodes.informer.store().list()) })
    }

    /// Everything; `None` while a view has not had its first list.
    pub fn all(&mut self) -> Option<Views> {
        let synced = self.services.informer.is_synced()
            && self.slices.informer.is_synced()
            && self.nodes.informer.is_synced()
            && self.pods.informer.is_synced();
        if !synced {
            return None;
        }
        self.dirty = Dirty::default();
        Some(Views {
            services: self.services.informer.store().list(),
            slices: self.slices.informer.store().list(),
            nodes: self.nodes.informer.store().list(),
            pods: Vec::new(),
            // Policies are not followed yet, so none selects a pod.
            policy: Policy::default(),
        })
    }

    fn service(&self, key: Key) -> ServiceView {
        let service = self.services.informer.store().get(&key.namespace, &key.name);
        let slices = self.slices.informer.store().by_index(BY_SERVICE, &key.to_string());
        ServiceView { key, service, slices }
    }

    /// This node's pods.
    pub fn pods(&self) -> Vec<Arc<Pod>> {
        self.pods.informer.store().list()
    }

    /// Whether this node's view has a pod. Without a uid any pod of the name will do.
    pub fn knows(&self, namespace: &str, name: &str, uid: &str) -> bool {
        let pod = self.pods.informer.store().get(namespace, name);
        pod.is_some_and(|pod| uid.is_empty() || pod.metadata.uid == uid)
    }
}
