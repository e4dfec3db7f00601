//! Performs the plan for the mirror of one Endpoints object.

use super::plan::{is_mirror, plan};
use crate::shared::{BY_OWNER, Shared, service_value};
use crate::worker::Next;
use crate::written::Written;
use keelson_client::views::Partial;
use keelson_client::{Client, DeleteParams, Error, Key, Resource};
use std::sync::Arc;

pub(super) struct Mirror {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    pub(super) written: Written<Key>,
}

impl Mirror {
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        self.written.settle(&key, &self.shared.slices).await;
        let (namespace, name) = (key.namespace.as_str(), key.name.as_str());
        let endpoints = self.shared.endpoints.store().get(namespace, name);
        let service = self.shared.services.store().get(namespace, name);
        let mut slices = self.shared.slices.store().by_index(BY_OWNER, &service_value(namespace, name));
        slices.retain(|slice| is_mirror(slice));
        let plan = plan(endpoints.as_deref(), service.as_deref(), slices);
        for (name, body) in &plan.replace {
            let reply: Partial =
                self.client.replace(&Resource::ENDPOINT_SLICES, namespace, name, body).await?;
            self.written.note(&key, &reply.metadata);
        }
        for body in &plan.create {
            let reply: Partial = self.client.create(&Resource::ENDPOINT_SLICES, namespace, body).await?;
            self.written.note(&key, &reply.metadata);
        }
        for name in &plan.delete {
            let params = DeleteParams::default();
            match self.client.delete(&Resource::ENDPOINT_SLICES, namespace, name, &params).await {
                Err(e) if !e.is_not_found() => return Err(e),
                _ => {}
            }
        }
        Ok(Next::Done)
    }
}
