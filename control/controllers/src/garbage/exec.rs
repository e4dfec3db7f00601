//! Performs what the graph asks for: looks objects and owners up on the server, then deletes or unlinks.

use super::graph::{FOREGROUND, Graph, Node, ORPHAN, Work};
use super::plan::{Owner, Plan, plan};
use crate::worker::Next;
use keelson_client::queue::Queue;
use keelson_client::views::{OwnerReference, Partial};
use keelson_client::{Client, DeleteParams, Error, Key, Meta, Resource};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) struct Garbage {
    pub(super) client: Client,
    pub(super) graph: Mutex<Graph>,
    pub(super) queue: Queue<Work>,
    /// Served resources by group and kind.
    pub(super) kinds: HashMap<(String, String), Resource>,
}

impl Garbage {
    /// The resource of an owner reference; the version does not matter.
    pub(super) fn resource(&self, api_version: &str, kind: &str) -> Option<Resource> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        self.kinds.get(&(group.to_owned(), kind.to_owned())).copied()
    }

    pub(super) fn observe(&self, resource: Resource, meta: &Meta) {
        let work = self.graph.lock().observe(resource, meta, &|version, kind| self.resource(version, kind));
        work.into_iter().for_each(|w| self.queue.add(w));
    }

    pub(super) fn gone(&self, uid: &str) {
        let work = self.graph.lock().gone(uid);
        work.into_iter().for_each(|w| self.queue.add(w));
    }

    pub(super) async fn reconcile(self: Arc<Self>, work: Work) -> Result<Next, Error> {
        match work {
            Work::Attempt(uid) => self.attempt(&uid).await?,
            Work::Orphan(uid) => self.orphan(&uid).await?,
        }
        Ok(Next::Done)
    }

    async fn attempt(&self, uid: &str) -> Result<(), Error> {
        let Some(node) = self.graph.lock().get(uid).cloned() else { return Ok(()) };
        if node.deleting && !node.foreground {
            return Ok(());
        }
        let Some(resource) = node.resource else { return Ok(()) };
        let Some(live) = self.live(&resource, &node.key, uid).await? else {
            self.gone(uid);
            return Ok(());
        };
        if node.is_virtual {
            return Ok(());
        }
        if live.is_deleting() && live.finalizers.iter().any(|f| f == FOREGROUND) {
            return self.wait_for_dependents(&resource, &live).await;
        }
        if live.is_deleting() {
            return Ok(());
        }
        let mut owners = Vec::with_capacity(live.owner_references.len());
        for owner in &live.owner_references {
            owners.push(self.owner(owner, &live.namespace).await?);
        }
        match plan(&live, &owners, !node.dependents.is_empty()) {
            Plan::Keep => Ok(()),
            Plan::Unlink(uids) => self.unlink(&resource, &live, &uids).await,
            Plan::Delete(propagation) => {
                let params = DeleteParams {
                    propagation: Some(propagation),
                    uid: Some(live.uid.clone()),
                    resource_version: Some(live.resource_version.clone()),
                    ..DeleteParams::default()
                };
                let deleted = self.client.delete(&resource, &live.namespace, &live.name, &params).await;
                match deleted {
                    Err(e) if !e.is_not_found() => Err(e),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The object as the server has it; `None` when it is gone, or another one has its name.
    async fn live(&self, resource: &Resource, key: &Key, uid: &str) -> Result<Option<Meta>, Error> {
        match self.client.get::<Partial>(resource, &key.namespace, &key.name).await {
            Ok(live) if live.metadata.uid == uid => Ok(Some(live.metadata)),
            Ok(_) => Ok(None),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn owner(&self, owner: &OwnerReference, namespace: &str) -> Result<Owner, Error> {
        let Some(resource) = self.resource(&owner.api_version, &owner.kind) else {
            return Ok(Owner::Unknown);
        };
        let key = Key::new(if resource.namespaced { namespace } else { "" }, &owner.name);
        Ok(match self.live(&resource, &key, &owner.uid).await? {
            None => Owner::Absent,
            Some(live) if live.is_deleting() && live.finalizers.iter().any(|f| f == FOREGROUND) => {
                Owner::Waiting
            }
            Some(_) => Owner::Solid,
        })
    }

    /// An object that waits for its dependents goes when none blocks it any more.
    async fn wait_for_dependents(&self, resource: &Resource, live: &Meta) -> Result<(), Error> {
        let (is_blocked, alive, in_circle) = {
            let graph = self.graph.lock();
            let blocking = graph.blocking(&live.uid);
            let alive = blocking.iter().filter(|n| !n.deleting).map(|n| Work::Attempt(n.uid.clone()));
            (!blocking.is_empty(), alive.collect::<Vec<_>>(), graph.waits_for_itself(&live.uid))
        };
        if !is_blocked {
            return self.drop_finalizer(resource, live, FOREGROUND).await;
        }
        alive.into_iter().for_each(|w| self.queue.add(w));
        if in_circle { self.unblock(resource, live).await } else { Ok(()) }
    }

    /// Owners need not wait for this object any more; in a circle one has to go first.
    async fn unblock(&self, resource: &Resource, live: &Meta) -> Result<(), Error> {
        let mut owners = live.owner_references.clone();
        if !owners.iter().any(|o| o.block_owner_deletion) {
            return Ok(());
        }
        owners.iter_mut().for_each(|o| o.block_owner_deletion = false);
        self.patch(resource, live, json!({"ownerReferences": owners})).await
    }

    async fn orphan(&self, uid: &str) -> Result<(), Error> {
        let (node, dependents) = {
            let graph = self.graph.lock();
            let Some(node) = graph.get(uid).cloned() else { return Ok(()) };
            (node, graph.dependents(uid))
        };
        for dependent in dependents {
            self.set_free(&dependent, uid).await?;
        }
        let Some(resource) = node.resource else { return Ok(()) };
        let Some(live) = self.live(&resource, &node.key, uid).await? else { return Ok(()) };
        self.drop_finalizer(&resource, &live, ORPHAN).await
    }

    async fn set_free(&self, dependent: &Node, owner: &str) -> Result<(), Error> {
        let Some(resource) = dependent.resource else { return Ok(()) };
        let Some(live) = self.live(&resource, &dependent.key, &dependent.uid).await? else { return Ok(()) };
        if live.owner_references.iter().any(|o| o.uid == owner) {
            self.unlink(&resource, &live, &[owner.to_owned()]).await?;
        }
        Ok(())
    }

    async fn unlink(&self, resource: &Resource, live: &Meta, owners: &[String]) -> Result<(), Error> {
        let left: Vec<&OwnerReference> =
            live.owner_references.iter().filter(|o| !owners.contains(&o.uid)).collect();
        let left = if left.is_empty() { Value::Null } else { json!(left) };
        self.patch(resource, live, json!({"ownerReferences": left})).await
    }

    async fn drop_finalizer(&self, resource: &Resource, live: &Meta, name: &str) -> Result<(), Error> {
        let left: Vec<&String> = live.finalizers.iter().filter(|f| *f != name).collect();
        if left.len() == live.finalizers.len() {
            return Ok(());
        }
        let left = if left.is_empty() { Value::Null } else { json!(left) };
        self.patch(resource, live, json!({"finalizers": left})).await
    }

    async fn patch(&self, resource: &Resource, live: &Meta, mut metadata: Value) -> Result<(), Error> {
        metadata["resourceVersion"] = json!(live.resource_version);
        let patch = json!({"metadata": metadata});
        match self.client.merge_patch::<Partial>(resource, &live.namespace, &live.name, &patch).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }
}
