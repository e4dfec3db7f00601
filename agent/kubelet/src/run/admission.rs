//! Whether a pod that was bound to this node may begin here.
//!
//! The loop remembers the node's labels as it last wrote or read them. A pod that they refuse may still be right:
//! its labels may have been set a moment before the pod was bound. Before such a pod is refused, the node is read.

use super::pods::Loop;
use crate::event::Event;
use crate::pod::Pod;
use crate::pod::admit::{Allocatable, Refusal, admit};
use crate::pod::placement::Place;
use crate::pod::refuse::{self, Abilities};
use keelson_api::resource::Resource;
use keelson_client::views::Partial;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between attempts to read the node.
const RETRY: Duration = Duration::from_secs(1);

/// How old the labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labels {
    /// Perhaps older than the pod's binding.
    Remembered,
    /// Read after the pod was seen.
    Read,
}

impl Loop {
    pub(super) fn admit(&self, pod: &Pod, labels: &BTreeMap<String, String>) -> Result<(), Refusal> {
        refuse::pod(pod, Abilities { app_armor: self.context.machine.app_armor })?;
        let config = &self.context.config;
        let node = Allocatable {
            pods: usize::try_from(config.max_pods).unwrap_or(usize::MAX),
            cpu_milli: self.context.machine.cpu_milli,
            memory_bytes: self.context.machine.memory_allocatable_bytes(),
        };
        admit(pod, self.alive(), node, Place { name: &config.node_name, labels })
    }

    /// Puts the pod aside until the node was read; [`Event::NodeRead`] brings it back.
    pub(super) fn read_node(&mut self, pod: Arc<Pod>) {
        let (context, uid) = (Arc::clone(&self.context), pod.meta.uid.clone());
        self.undecided.insert(uid.clone(), pod);
        tokio::spawn(async move {
            let name = context.config.node_name.as_str();
            loop {
                match context.client.get::<Partial>(&Resource::NODES, "", name).await {
                    Ok(node) => {
                        let labels = Arc::new(node.metadata.labels);
                        context.node_labels.store(Arc::clone(&labels));
                        // The loop has ended when nobody listens.
                        let _ = context.events.send(Event::NodeRead { uid, labels }).await;
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "the node's labels were not read"),
                }
                tokio::time::sleep(RETRY).await;
            }
        });
    }

    pub(super) fn node_read(&mut self, uid: &str, labels: &BTreeMap<String, String>) {
        if let Some(pod) = self.undecided.remove(uid) {
            self.take_in(pod, labels, Labels::Read);
        }
    }
}
