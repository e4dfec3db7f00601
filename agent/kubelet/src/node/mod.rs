//! The node's own word: its registration, its Lease and its status.

mod events;
mod lease;
mod object;
mod status;

use crate::actions::Context;
use keelson_api::resource::Resource;
use keelson_client::Error;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How often the status is computed, and sent when it differs.
const STATUS_PERIOD: Duration = Duration::from_secs(10);
/// How often it is sent even when nothing changed.
const REPORT_MS: u64 = 300_000;
/// How fast the start of the runtime is noticed.
const NOT_READY_PERIOD: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_secs(1);

/// Registers the node, then renews Lease and status for ever.
pub(crate) async fn report(context: Arc<Context>) {
    // First of all: the Lease belongs to the Node.
    let node = register(&context).await;
    context.record_node(false, "Starting", "Starting kubelet.".to_owned());
    tokio::join!(lease::renew(Arc::clone(&context)), renew_status(&context, node));
}

async fn renew_status(context: &Context, mut node: Value) {
    let mut sent_at = None;
    loop {
        let now = context.clock.now();
        let observed = status::observe(context).await;
        let wanted = status::render(context, &observed, node.get("status").unwrap_or(&Value::Null), now);
        let changed = status::differs(node.get("status").unwrap_or(&Value::Null), &wanted);
        let overdue = sent_at.is_none_or(|at: u64| now.mono >= at + REPORT_MS);
        if changed || overdue {
            match send(context, &wanted).await {
                Ok(stored) => {
                    remember_labels(context, &stored);
                    tell(context, &node, &stored);
                    node = stored;
                    sent_at = Some(now.mono);
                }
                Err(error) if error.is_not_found() => {
                    node = register(context).await;
                    sent_at = None;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "the node's status was not written");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
        }
        tokio::time::sleep(if observed.ready() { STATUS_PERIOD } else { NOT_READY_PERIOD }).await;
    }
}

/// Creates the Node, or brings an existing one's labels up to date; repeats until it is done.
async fn register(context: &Context) -> Value {
    let name = context.config.node_name.as_str();
    loop {
        let wanted = object::node(context);
        let result = match context.client.create::<Value>(&Resource::NODES, "", &wanted).await {
            Err(error) if error.is_already_exists() => {
                let patch = json!({"metadata": {"labels": wanted.pointer("/metadata/labels")}});
                context.client.merge_patch::<Value>(&Resource::NODES, "", name, &patch).await
            }
            other => other,
        };
        match result {
            Ok(node) => {
                tracing::info!(node = name, "the node is registered");
                remember_labels(context, &node);
                return node;
            }
            Err(error) => {
                tracing::warn!(%error, "the node was not registered");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Events about what a write of the status has changed.
fn tell(context: &Context, before: &Value, after: &Value) {
    let status = |node: &Value| node.get("status").cloned().unwrap_or_default();
    for event in events::events(&context.config.node_name, &status(before), &status(after)) {
        context.record_node(event.warning, event.reason, event.message);
    }
}

/// Labels are others' to change too; what a write brings back is the newest there is.
fn remember_labels(context: &Context, node: &Value) {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let labels = labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())));
    context.node_labels.store(Arc::new(labels.collect()));
}

async fn send(context: &Context, status: &Value) -> Result<Value, Error> {
    let name = context.config.node_name.as_str();
    let patch = json!({"status": status});
    context
        .client
        .patch_subresource(&Resource::NODES, "", name, "status", keelson_client::PatchKind::Strategic, &patch)
        .await
}
