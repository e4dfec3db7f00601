//! Keeps the rules of aggregated ClusterRoles equal to those of the roles that they select.
//!
//! Decisions resolve aggregation by themselves; this is for those who read the roles.

use super::rbac::aggregated_patches;
use keelson_api::resource::Resource;
use keelson_apiserver::auth::rbac::{AggregationRule, Role, Rule};
use keelson_client::informer::{Informer, Scope};
use keelson_client::{Client, Meta, View};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Changes of roles come in bursts; one look serves them all.
const SETTLE: Duration = Duration::from_millis(200);

/// A ClusterRole as the informer keeps it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClusterRole {
    metadata: Meta,
    rules: Option<Arc<[Rule]>>,
    aggregation_rule: Option<AggregationRule>,
}

impl View for ClusterRole {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// Runs until the client's server is gone or the task is aborted.
pub(crate) async fn follow(client: Client) {
    let informer = Informer::<ClusterRole>::spawn(client.clone(), Resource::CLUSTER_ROLES, Scope::default());
    let mut feed = informer.subscribe();
    informer.synced().await;
    while feed.recv().await.is_some() {
        tokio::time::sleep(SETTLE).await;
        while feed.try_recv().is_some() {}
        let roles = informer
            .store()
            .list()
            .into_iter()
            .map(|role| (role.metadata.name.clone(), as_role(&role)))
            .collect::<BTreeMap<_, _>>();
        for (name, patch) in aggregated_patches(&roles) {
            if let Err(error) = client.merge_patch::<Value>(&Resource::CLUSTER_ROLES, "", &name, &patch).await
            {
                tracing::warn!(%error, role = name, "an aggregated role could not be brought up to date");
            }
        }
    }
}

fn as_role(role: &ClusterRole) -> Role {
    let mut result = Role {
        rules: role.rules.clone().unwrap_or_else(|| Arc::from([])),
        aggregation_rule: role.aggregation_rule.clone(),
        ..Role::default()
    };
    result.metadata.name.clone_from(&role.metadata.name);
    result.metadata.labels.clone_from(&role.metadata.labels);
    result
}
