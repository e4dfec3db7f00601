//! Writes core/v1 Events about what a component did. Best effort: never blocks, never fails its caller.

mod correlate;

use crate::client::Client;
use crate::error::Error;
use crate::views::{Meta, Partial};
use correlate::{Correlator, Decision};
use jiff::Timestamp;
use keelson_api::resource::Resource;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Events that may wait to be written; more are dropped.
const QUEUE_MAX: usize = 1024;

/// The two types of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    Normal,
    Warning,
}

impl EventType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What an event is about; serialized as a core/v1 ObjectReference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// For example `spec.containers{web}`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field_path: String,
}

impl ObjectRef {
    pub fn of(resource: &Resource, meta: &Meta) -> Self {
        Self {
            api_version: resource.api_version(),
            kind: resource.kind.to_owned(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            field_path: String::new(),
        }
    }

    /// Events about cluster-scoped objects live in `default`.
    fn event_namespace(&self) -> &str {
        if self.namespace.is_empty() { "default" } else { &self.namespace }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occurrence {
    pub(crate) object: ObjectRef,
    pub(crate) event_type: EventType,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
}

/// A handle for reporting events; the writer ends with the last handle.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Occurrence>,
}

impl Recorder {
    /// Events will name `component` and `host` (empty for the control plane) as their source.
    pub fn spawn(client: Client, component: &str, host: &str) -> Self {
        let (queue, mut occurrences) = mpsc::channel(QUEUE_MAX);
        let source = Source { component: component.to_owned(), host: host.to_owned() };
        tokio::spawn(async move {
            let mut correlator = Correlator::default();
            while let Some(occurrence) = occurrences.recv().await {
                write(&client, &source, &mut correlator, occurrence).await;
            }
        });
        Self { queue }
    }

    pub fn event(&self, object: &ObjectRef, event_type: EventType, reason: &str, message: impl Into<String>) {
        let occurrence = Occurrence {
            object: object.clone(),
            event_type,
            reason: reason.to_owned(),
            message: message.into(),
            at: Timestamp::now(),
        };
        if self.queue.try_send(occurrence).is_err() {
            tracing::debug!(reason, "an event was dropped");
        }
    }
}

struct Source {
    component: String,
    host: String,
}

async fn write(client: &Client, source: &Source, correlator: &mut Correlator, occurrence: Occurrence) {
    let namespace = occurrence.object.event_namespace().to_owned();
    let result = match correlator.decide(&occurrence) {
        Decision::Drop => return,
        Decision::Create { name, message } => {
            create(client, &namespace, &body(source, &occurrence, &name, &message, 1)).await
        }
        Decision::Count { name, message, count } => {
            let patch = json!({"count": count, "lastTimestamp": seconds(occurrence.at), "message": message});
            match client.merge_patch::<Partial>(&Resource::EVENTS, &namespace, &name, &patch).await {
                Err(e) if e.is_not_found() => {
                    create(client, &namespace, &body(source, &occurrence, &name, &message, count)).await
                }
                other => other.map(|_| ()),
            }
        }
    };
    if let Err(e) = result {
        tracing::debug!(reason = occurrence.reason, error = %e, "an event was not written");
    }
}

async fn create(client: &Client, namespace: &str, event: &Value) -> Result<(), Error> {
    client.create::<Partial>(&Resource::EVENTS, namespace, event).await.map(|_| ())
}

/// The time at second resolution, as `metav1.Time` is.
fn seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}

fn body(source: &Source, occurrence: &Occurrence, name: &str, message: &str, count: u32) -> Value {
    let mut from = json!({"component": source.component});
    if !source.host.is_empty() {
        from["host"] = json!(source.host);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": occurrence.object.event_namespace()},
        "involvedObject": occurrence.object,
        "type": occurrence.event_type.as_str(),
        "reason": occurrence.reason,
        "message": message,
        "source": from,
        "firstTimestamp": seconds(occurrence.at),
        "lastTimestamp": seconds(occurrence.at),
        "count": count,
        "reportingComponent": source.component,
        "reportingInstance": source.host,
    })
}
