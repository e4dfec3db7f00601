//! The views that the data plane follows.

use crate::tables::Views;
use keelson_client::informer::{Feed, Informer, Scope};
use keelson_client::views::{EndpointSlice, Node, Pod, Service, View};
use keelson_client::{Client, Resource};

/// A view and the feed that says when it has changed.
struct Source<T: View> {
    informer: Informer<T>,
    feed: Feed<T>,
}

impl<T: View> Source<T> {
    fn follow(client: &Client, resource: Resource, scope: Scope) -> Self {
        let informer = Informer::spawn(client.clone(), resource, scope);
        let feed = informer.subscribe();
        Self { informer, feed }
    }

    /// Waits for a change and takes all that have come with it.
    async fn changed(&mut self) {
        if self.feed.recv().await.is_none() {
            // The view has ended with the process; there will be no more news.
            std::future::pending::<()>().await;
        }
        while self.feed.try_recv().is_some() {}
    }
}

/// What has changed.
pub enum Changed {
    /// This node's pods.
    Pods,
    /// Services, endpoints or nodes.
    Tables,
}

/// All views.
pub struct Sources {
    services: Source<Service>,
    slices: Source<EndpointSlice>,
    nodes: Source<Node>,
    pods: Source<Pod>,
}

impl Sources {
    /// Follows what concerns a node: everything but other nodes' pods.
    pub fn follow(client: &Client, node_name: &str) -> Self {
        let own = Scope { field_selector: format!("spec.nodeName={node_name}"), ..Scope::default() };
        Self {
            services: Source::follow(client, Resource::SERVICES, Scope::default()),
            slices: Source::follow(client, Resource::ENDPOINT_SLICES, Scope::default()),
            nodes: Source::follow(client, Resource::NODES, Scope::default()),
            pods: Source::follow(client, Resource::PODS, own),
        }
    }

    /// Waits for a change. May be dropped without losing one.
    pub async fn changed(&mut self) -> Changed {
        tokio::select! {
            // A pod may hold up an ADD.
            biased;
            () = self.pods.changed() => Changed::Pods,
            () = self.services.changed() => Changed::Tables,
            () = self.slices.changed() => Changed::Tables,
            () = self.nodes.changed() => Changed::Tables,
        }
    }

    /// The objects now; `None` while a view has not had its first list.
    pub fn views(&self) -> Option<Views> {
        let synced = self.services.informer.is_synced()
            && self.slices.informer.is_synced()
            && self.nodes.informer.is_synced();
        synced.then(|| Views {
            services: self.services.informer.store().list(),
            slices: self.slices.informer.store().list(),
            nodes: self.nodes.informer.store().list(),
        })
    }

    /// Whether this node's view has a pod. Without a uid any pod of the name will do.
    pub fn knows(&self, namespace: &str, name: &str, uid: &str) -> bool {
        let pod = self.pods.informer.store().get(namespace, name);
        pod.is_some_and(|pod| uid.is_empty() || pod.metadata.uid == uid)
    }
}
