//! Empties namespaces that are being deleted.

use super::plan::{Remaining, Step, conditions, content, plan, without_ours};
use crate::context::now;
use crate::worker::Next;
use futures::future::join_all;
use jiff::Timestamp;
use keelson_client::views::{Namespace, Partial};
use keelson_client::{Client, DeleteParams, Error, Key, ListParams, Propagation, Resource, Served};
use serde_json::{Value, json};
use std::time::Duration;

/// When remaining content is looked at again if nothing told of its end before.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

pub(super) struct Namespaces {
    pub(super) client: Client,
}

impl Namespaces {
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        // The view may lag behind; a namespace that is gone or changed is found out here.
        let namespace: Namespace = match self.client.get(&Resource::NAMESPACES, "", &key.name).await {
            Ok(namespace) => namespace,
            Err(e) if e.is_not_found() => return Ok(Next::Done),
            Err(e) => return Err(e),
        };
        match plan(&namespace, Timestamp::now()) {
            Step::Nothing => return Ok(Next::Done),
            Step::Wait(rest) => return Ok(Next::After(rest)),
            Step::Empty => {}
        }
        let served = match self.client.discover().await {
            Ok(served) => served,
            Err(e) => {
                let text = e.to_string();
                self.report(&namespace, &Remaining::default(), Some(&text)).await?;
                return Err(e);
            }
        };
        let (pods, others) = content(&served);
        let mut remaining = self.empty(&key.name, &pods).await;
        if remaining.is_empty() {
            remaining = self.empty(&key.name, &others).await;
        }
        if !remaining.is_empty() {
            self.report(&namespace, &remaining, None).await?;
            return Ok(Next::After(LOOK_AGAIN));
        }
        if !namespace.status.conditions.is_empty() {
            self.report(&namespace, &remaining, None).await?;
        }
        self.finalize(&namespace).await?;
        Ok(Next::Done)
    }

    /// Deletes all objects of these kinds and counts what stays.
    async fn empty(&self, namespace: &str, kinds: &[&Served]) -> Remaining {
        let mut remaining = Remaining::default();
        let all = join_all(kinds.iter().map(|kind| self.empty_kind(namespace, kind))).await;
        for (kind, result) in kinds.iter().zip(all) {
            let name = format!("{}.{}", kind.resource.plural, kind.resource.group);
            match result {
                Ok(objects) => {
                    for finalizer in objects.iter().flat_map(|o| &o.metadata.finalizers) {
                        *remaining.finalizers.entry(finalizer.clone()).or_default() += 1;
                    }
                    if !objects.is_empty() {
                        remaining.objects.insert(name, objects.len());
                    }
                }
                Err(e) => remaining.errors.push(format!("{name}: {e}")),
            }
        }
        remaining
    }

    async fn empty_kind(&self, namespace: &str, kind: &Served) -> Result<Vec<Partial>, Error> {
        let resource = &kind.resource;
        let objects = self.list(resource, namespace).await?;
        if objects.is_empty() {
            return Ok(objects);
        }
        let params = DeleteParams { propagation: Some(Propagation::Background), ..DeleteParams::default() };
        if kind.has_verb("deletecollection") {
            self.client.delete_collection(resource, namespace, "", &params).await?;
        } else {
            for object in &objects {
                match self.client.delete(resource, namespace, &object.metadata.name, &params).await {
                    Err(e) if !e.is_not_found() => return Err(e),
                    _ => {}
                }
            }
        }
        self.list(resource, namespace).await
    }

    async fn list(&self, resource: &Resource, namespace: &str) -> Result<Vec<Partial>, Error> {
        let params = ListParams { metadata_only: true, ..ListParams::default() };
        Ok(self.client.list_all(resource, namespace, &params).await?.items)
    }

    async fn report(
        &self,
        namespace: &Namespace,
        remaining: &Remaining,
        discovery: Option<&str>,
    ) -> Result<(), Error> {
        let wanted = conditions(&namespace.status.conditions, remaining, discovery, now());
        if wanted == namespace.status.conditions {
            return Ok(());
        }
        let patch: Value = json!({"status": {"conditions": wanted}});
        let name = &namespace.metadata.name;
        match self.client.patch_status::<Partial>(&Resource::NAMESPACES, "", name, &patch).await {
            Err(e) if !e.is_not_found() && !e.is_conflict() => Err(e),
            _ => Ok(()),
        }
    }

    /// The finalizers of a namespace are replaced, not patched: that is all this subresource takes.
    async fn finalize(&self, namespace: &Namespace) -> Result<(), Error> {
        let name = &namespace.metadata.name;
        let resource = &Resource::NAMESPACES;
        let mut object: Value = self.client.get(resource, "", name).await?;
        object["spec"]["finalizers"] = json!(without_ours(namespace));
        match self.client.replace_subresource::<Partial>(resource, "", name, "finalize", &object).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }
}
