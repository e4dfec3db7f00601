//! Performs the plan for one Service's slices.

use super::plan::{MANAGED_BY, MANAGER, Observed, Plan, plan};
use crate::shared::{BY_OWNER, Shared, service_value};
use crate::worker::Next;
use crate::written::Written;
use futures::future::try_join_all;
use keelson_client::views::{EndpointSlice, Node, Partial, Pod, Service};
use keelson_client::{Client, DeleteParams, Error, Key, Resource};
use std::sync::Arc;

pub(super) struct Slices {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    pub(super) written: Written<Key>,
}

impl Slices {
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        self.written.settle(&key, &self.shared.slices).await;
        let Some(service) = self.shared.services.store().get(&key.namespace, &key.name) else {
            // Its slices name it as their owner: the garbage collector takes them.
            return Ok(Next::Done);
        };
        // Without a selector somebody else keeps the slices.
        if service.spec.selector.is_empty() || service.is_external_name() || service.metadata.is_deleting() {
            return Ok(Next::Done);
        }
        let pods = selected(&self.shared, &service);
        let zone = |node: &str| zone(self.shared.nodes.store().get("", node)?.as_ref());
        let slices = self.own_slices(&key);
        let plan = plan(Observed { service: &service, pods: &pods, slices, zone: &zone });
        self.perform(&key, plan).await?;
        Ok(Next::Done)
    }

    fn own_slices(&self, key: &Key) -> Vec<Arc<EndpointSlice>> {
        let mut slices =
            self.shared.slices.store().by_index(BY_OWNER, &service_value(&key.namespace, &key.name));
        slices.retain(|s| s.metadata.label(MANAGED_BY) == Some(MANAGER));
        slices
    }

    async fn perform(&self, key: &Key, plan: Plan) -> Result<(), Error> {
        // Updates first: they are what takes an endpoint that fails out of use.
        let namespace = key.namespace.as_str();
        let updates = plan.update.iter().map(|(name, patch)| async move {
            let reply: Partial =
                self.client.merge_patch(&Resource::ENDPOINT_SLICES, namespace, name, patch).await?;
            self.written.note(key, &reply.metadata);
            Ok::<_, Error>(())
        });
        try_join_all(updates).await?;
        let creates = plan.create.iter().map(|body| async move {
            let reply: Partial = self.client.create(&Resource::ENDPOINT_SLICES, namespace, body).await?;
            self.written.note(key, &reply.metadata);
            Ok::<_, Error>(())
        });
        try_join_all(creates).await?;
        for name in &plan.delete {
            let params = DeleteParams::default();
            match self.client.delete(&Resource::ENDPOINT_SLICES, namespace, name, &params).await {
                Err(e) if !e.is_not_found() => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The pods that a Service selects, by name.
pub(crate) fn selected(shared: &Shared, service: &Service) -> Vec<Arc<Pod>> {
    let mut pods = shared.pods.store().list_namespace(&service.metadata.namespace);
    pods.retain(|pod| selects(service, pod));
    pods
}

pub(crate) fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = &service.spec.selector;
    !selector.is_empty() && selector.iter().all(|(k, v)| pod.metadata.label(k) == Some(v))
}

pub(super) fn zone(node: &Node) -> Option<String> {
    node.zone().map(str::to_owned)
}
