//! Writes the ConfigMaps with the cluster's CA.

use super::plan::{Plan, plan};
use crate::shared::{ROOT_CA_NAME, Shared};
use crate::worker::Next;
use keelson_client::views::Partial;
use keelson_client::{Client, Error, Key, Resource};
use std::sync::Arc;

pub(super) struct RootCas {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    pub(super) ca_pem: String,
}

impl RootCas {
    /// `key` is a namespace.
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(namespace) = self.shared.namespaces.store().get("", &key.name) else {
            return Ok(Next::Done);
        };
        let existing = self.shared.root_cas.store().get(&key.name, ROOT_CA_NAME);
        let written = match plan(&namespace, existing.as_deref(), &self.ca_pem) {
            Plan::Nothing => return Ok(Next::Done),
            Plan::Create(body) => {
                self.client.create::<Partial>(&Resource::CONFIG_MAPS, &key.name, &body).await
            }
            Plan::Replace(body) => {
                self.client.replace::<Partial>(&Resource::CONFIG_MAPS, &key.name, ROOT_CA_NAME, &body).await
            }
        };
        match written {
            Err(e) if !e.is_already_exists() && !e.is_not_found() => Err(e),
            _ => Ok(Next::Done),
        }
    }
}
