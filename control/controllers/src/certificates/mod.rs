//! CertificateSigningRequests: the nodes' own are approved, approved ones are signed, old ones are deleted.

mod exec;
mod plan;
mod request;
mod signer;
#[cfg(test)]
mod tests;

pub use signer::{Signer, SignerError};

use crate::context::Context;
use crate::shared::Shared;
use crate::worker::serve;
use crate::written::Written;
use exec::Certificates;
use keelson_client::Key;
use keelson_client::informer::Change;
use keelson_client::queue::Queue;
use keelson_client::views::{CertificateSigningRequest, Node};
use std::sync::Arc;

const WORKERS: usize = 2;

/// What wakes this controller.
enum Event {
    Request(Change<CertificateSigningRequest>),
    /// A node's addresses decide about its serving certificate.
    Node(Change<Node>),
}

pub(crate) fn start(context: &Context<'_>) {
    let certificates = Arc::new(Certificates {
        client: context.client("certificate-controller"),
        shared: context.shared.clone(),
        signer: context.config.signer.clone(),
        written: Written::default(),
    });
    let queue = Queue::new();
    context.tasks.spawn(route(context.shared.clone(), queue.clone()));
    serve(&context.tasks, "certificates", &queue, WORKERS, move |key| {
        let certificates = certificates.clone();
        async move { certificates.reconcile(key).await }
    });
}

async fn route(shared: Arc<Shared>, queue: Queue<Key>) {
    let (mut requests, mut nodes) = (shared.requests.subscribe(), shared.nodes.subscribe());
    loop {
        let event = tokio::select! {
            Some(change) = requests.recv() => Event::Request(change),
            Some(change) = nodes.recv() => Event::Node(change),
            else => return,
        };
        match event {
            Event::Request(Change::Applied { new, .. }) => queue.add(new.metadata.key()),
            Event::Request(Change::Deleted(_)) | Event::Node(Change::Deleted(_)) => {}
            Event::Node(Change::Applied { old, new }) => {
                if old.is_none_or(|old| old.status.addresses != new.status.addresses) {
                    wake(&shared, &queue, Some(&new.metadata.name));
                }
            }
            Event::Request(Change::Resync) | Event::Node(Change::Resync) => wake(&shared, &queue, None),
        }
    }
}

/// Wakes the undecided requests of a node, or all requests.
fn wake(shared: &Shared, queue: &Queue<Key>, node: Option<&str>) {
    for csr in shared.requests.store().list() {
        let of_node = |name: &str| csr.spec.username.strip_prefix("system:node:") == Some(name);
        if node.is_none_or(|name| of_node(name) && csr.status.conditions.is_empty()) {
            queue.add(csr.metadata.key());
        }
    }
}
