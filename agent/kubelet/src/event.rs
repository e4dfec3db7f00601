//! Everything that can wake the kubelet's loop.

use crate::cri::observe::PodName;
use crate::pod::{Observation, PodEvent};
use crate::references::Reference;
use keelson_client::Error;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One wake-up of the loop, beside changes of the pods' view and timers.
#[derive(Debug)]
pub enum Event {
    /// A command's result.
    Pod { uid: String, event: Box<PodEvent> },
    /// The runtime was listed: the pods that changed.
    Observed(Vec<(PodName, Observation)>),
    /// An object that pods refer to has changed.
    Reference(Reference),
    /// A status write came back; `Ok` holds what was written and the object's revision after it.
    StatusWritten { uid: String, result: Result<(Value, u64), Error> },
    /// The API object's deletion came back.
    ObjectDeleted { uid: String, result: Result<(), Error> },
    /// The node's labels, read for one pod that the remembered ones refuse.
    NodeRead { uid: String, labels: Arc<BTreeMap<String, String>> },
}
