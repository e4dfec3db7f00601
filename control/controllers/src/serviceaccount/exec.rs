//! Creates default ServiceAccounts.

use super::plan::{NAME, plan};
use crate::shared::Shared;
use crate::worker::Next;
use keelson_client::views::Partial;
use keelson_client::{Client, Error, Key, Resource};
use std::sync::Arc;

pub(super) struct ServiceAccounts {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
}

impl ServiceAccounts {
    /// `key` is a namespace.
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(namespace) = self.shared.namespaces.store().get("", &key.name) else {
            return Ok(Next::Done);
        };
        let existing = self.shared.service_accounts.store().get(&key.name, NAME);
        let Some(body) = plan(&namespace, existing.as_deref()) else { return Ok(Next::Done) };
        match self.client.create::<Partial>(&Resource::SERVICE_ACCOUNTS, &key.name, &body).await {
            Err(e) if !e.is_already_exists() => Err(e),
            _ => Ok(Next::Done),
        }
    }
}
