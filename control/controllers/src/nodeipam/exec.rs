//! Writes pod ranges into nodes.

use super::plan::Pool;
use crate::shared::Shared;
use crate::worker::Next;
use keelson_client::recorder::{EventType, ObjectRef, Recorder};
use keelson_client::views::Partial;
use keelson_client::{Client, Error, Key, Resource};
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// When a node that got no range is tried again.
const FULL_RETRY: Duration = Duration::from_secs(30);

pub(super) struct NodeIpam {
    pub(super) client: Client,
    pub(super) recorder: Recorder,
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Arc<Mutex<Pool>>,
}

impl NodeIpam {
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(node) = self.shared.nodes.store().get("", &key.name) else {
            self.pool.lock().release(&key.name);
            return Ok(Next::Done);
        };
        if node.pod_cidrs().next().is_some() {
            return Ok(Next::Done);
        }
        let Some(range) = self.pool.lock().allocate(&key.name) else {
            let object = ObjectRef::of(&Resource::NODES, &node.metadata);
            let message = format!("Node {} status is now: CIDRNotAvailable", key.name);
            self.recorder.event(&object, EventType::Normal, "CIDRNotAvailable", message);
            return Ok(Next::After(FULL_RETRY));
        };
        let range = range.to_string();
        let patch = json!({
            "metadata": {"uid": node.metadata.uid},
            "spec": {"podCIDR": range, "podCIDRs": [range]},
        });
        match self.client.merge_patch::<Partial>(&Resource::NODES, "", &key.name, &patch).await {
            // Somebody else gave it one, which the view will show.
            Err(e) if e.is_invalid() || e.is_not_found() => {
                self.pool.lock().release(&key.name);
                Err(e)
            }
            Err(e) => Err(e),
            Ok(_) => Ok(Next::Done),
        }
    }
}
