//! Performs the plan for one Endpoints object.

use super::plan::{Plan, plan};
use crate::endpointslice::exec::selected;
use crate::shared::Shared;
use crate::worker::Next;
use crate::written::Written;
use keelson_client::views::Partial;
use keelson_client::{Client, DeleteParams, Error, Key, Resource};
use std::sync::Arc;

pub(super) struct EndpointsControl {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    pub(super) written: Written<Key>,
}

impl EndpointsControl {
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        self.written.settle(&key, &self.shared.endpoints).await;
        let Some(service) = self.shared.services.store().get(&key.namespace, &key.name) else {
            return self.delete(&key).await;
        };
        if service.spec.selector.is_empty() || service.is_external_name() || service.metadata.is_deleting() {
            return Ok(Next::Done);
        }
        let pods = selected(&self.shared, &service);
        let existing = self.shared.endpoints.store().get(&key.namespace, &key.name);
        let reply: Partial = match plan(&service, &pods, existing.as_deref()) {
            Plan::Nothing => return Ok(Next::Done),
            Plan::Create(body) => self.client.create(&Resource::ENDPOINTS, &key.namespace, &body).await?,
            Plan::Update(patch) => {
                self.client.merge_patch(&Resource::ENDPOINTS, &key.namespace, &key.name, &patch).await?
            }
        };
        self.written.note(&key, &reply.metadata);
        Ok(Next::Done)
    }

    /// The object of a Service that is gone; it has no owner reference that would take it along.
    async fn delete(&self, key: &Key) -> Result<Next, Error> {
        if self.shared.endpoints.store().get(&key.namespace, &key.name).is_none() {
            return Ok(Next::Done);
        }
        let params = DeleteParams::default();
        match self.client.delete(&Resource::ENDPOINTS, &key.namespace, &key.name, &params).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(Next::Done),
        }
    }
}
