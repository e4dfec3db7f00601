//! ConfigMaps and Secrets that pods on this node refer to, each followed by a watch of its own.
//!
//! A node may only read what its pods refer to, object by object; nothing here lists a namespace.

use crate::event::Event;
use keelson_api::resource::Resource;
use keelson_client::Client;
use keelson_client::informer::{Change, Informer, Scope};
use keelson_client::views::{ConfigMap, Secret, View};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a first look at an object may take.
const FIRST_LOOK: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    ConfigMap,
    Secret,
}

/// One object that a pod refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

/// The objects in use and their watches.
pub struct References {
    client: Client,
    events: mpsc::Sender<Event>,
    config_maps: Mutex<HashMap<Reference, Informer<ConfigMap>>>,
    secrets: Mutex<HashMap<Reference, Informer<Secret>>>,
}

impl References {
    pub fn new(client: Client, events: mpsc::Sender<Event>) -> Self {
        Self { client, events, config_maps: Mutex::default(), secrets: Mutex::default() }
    }

    /// The ConfigMap as it is now; `None` when there is none.
    pub async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<Arc<ConfigMap>>, String> {
        let reference = reference(Kind::ConfigMap, namespace, name);
        let informer = self.follow(&self.config_maps, &reference, Resource::CONFIG_MAPS);
        read(&informer, &reference).await
    }

    /// The Secret as it is now; `None` when there is none.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Arc<Secret>>, String> {
        let reference = reference(Kind::Secret, namespace, name);
        let informer = self.follow(&self.secrets, &reference, Resource::SECRETS);
        read(&informer, &reference).await
    }

    /// Ends the watches of all objects but these.
    pub fn retain(&self, wanted: &BTreeSet<Reference>) {
        self.config_maps.lock().retain(|reference, _| wanted.contains(reference));
        self.secrets.lock().retain(|reference, _| wanted.contains(reference));
    }

    fn follow<T: View>(
        &self,
        informers: &Mutex<HashMap<Reference, Informer<T>>>,
        reference: &Reference,
        resource: Resource,
    ) -> Informer<T> {
        let mut informers = informers.lock();
        if let Some(informer) = informers.get(reference) {
            return informer.clone();
        }
        let scope = Scope {
            namespace: reference.namespace.clone(),
            field_selector: format!("metadata.name={}", reference.name),
            ..Scope::default()
        };
        let informer = Informer::spawn(self.client.clone(), resource, scope);
        tokio::spawn(report(informer.subscribe(), reference.clone(), self.events.clone()));
        informers.insert(reference.clone(), informer.clone());
        informer
    }
}

fn reference(kind: Kind, namespace: &str, name: &str) -> Reference {
    Reference { kind, namespace: namespace.to_owned(), name: name.to_owned() }
}

async fn read<T: View>(informer: &Informer<T>, reference: &Reference) -> Result<Option<Arc<T>>, String> {
    let wait = tokio::time::timeout(FIRST_LOOK, informer.synced()).await;
    wait.map_err(|_| {
        format!("failed to sync {:?} {}/{}: timed out", reference.kind, reference.namespace, reference.name)
    })?;
    Ok(informer.store().get(&reference.namespace, &reference.name))
}

/// Tells the loop of changes until the informer or the loop ends.
async fn report<T: View>(
    mut feed: keelson_client::informer::Feed<T>,
    reference: Reference,
    events: mpsc::Sender<Event>,
) {
    let mut first = true;
    while let Some(change) = feed.recv().await {
        let is_first_look = std::mem::take(&mut first) && matches!(change, Change::Resync);
        if !is_first_look && events.send(Event::Reference(reference.clone())).await.is_err() {
            return;
        }
    }
}
