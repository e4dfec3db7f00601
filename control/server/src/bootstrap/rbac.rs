//! Brings the roles and bindings of the cluster up to their defaults: what is missing is added, what an
//! administrator added stays, and what they marked with `autoupdate: false` is left alone.

use super::BootstrapError;
use futures::stream::{self, StreamExt, TryStreamExt};
use keelson_api::resource::Resource;
use keelson_apiserver::auth::rbac::{
    AUTOUPDATE, Default as DefaultObject, Role, Rule, Subject, compact, covers, defaults, resolve_aggregation,
};
use keelson_client::{Client, DeleteParams, ListParams};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// Writes under way at a time: enough for the store to commit them in a few batches.
const CONCURRENCY: usize = 64;

/// Roles before bindings: a binding to a role that is not there yet grants nothing.
const KINDS: [Resource; 4] =
    [Resource::CLUSTER_ROLES, Resource::ROLES, Resource::CLUSTER_ROLE_BINDINGS, Resource::ROLE_BINDINGS];

/// One write of the plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Create {
        resource: Resource,
        namespace: String,
        object: Value,
    },
    Patch {
        resource: Resource,
        namespace: String,
        name: String,
        patch: Value,
    },
    /// A binding's role cannot be changed, only the binding replaced.
    Replace {
        resource: Resource,
        namespace: String,
        name: String,
        object: Value,
    },
}

/// The stored objects by resource plural, namespace and name.
type Existing = HashMap<(&'static str, String, String), Value>;

/// Reconciles all default roles and bindings.
pub(super) async fn reconcile(client: &Client) -> Result<(), BootstrapError> {
    let mut existing = Existing::new();
    for resource in KINDS {
        let list = client.list_all::<Value>(&resource, "", &ListParams::default()).await?;
        for object in list.items {
            let text = |pointer: &str| {
                object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            existing.insert((resource.plural, text("/metadata/namespace"), text("/metadata/name")), object);
        }
    }
    let changes = plan(&existing, &defaults());
    let (roles, bindings) = changes.into_iter().partition::<Vec<_>, _>(|change| !is_binding(change));
    for changes in [roles, bindings] {
        stream::iter(changes.into_iter().map(|change| perform(client, change)))
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

fn is_binding(change: &Change) -> bool {
    let (Change::Create { resource, .. } | Change::Patch { resource, .. } | Change::Replace { resource, .. }) =
        change;
    resource.plural.ends_with("bindings")
}

async fn perform(client: &Client, change: Change) -> Result<(), BootstrapError> {
    match change {
        Change::Create { resource, namespace, object } => {
            client.create::<Value>(&resource, &namespace, &object).await?;
        }
        Change::Patch { resource, namespace, name, patch } => {
            client.merge_patch::<Value>(&resource, &namespace, &name, &patch).await?;
        }
        Change::Replace { resource, namespace, name, object } => {
            client.delete(&resource, &namespace, &name, &DeleteParams::default()).await?;
            client.create::<Value>(&resource, &namespace, &object).await?;
        }
    }
    Ok(())
}

/// What to write so that `existing` holds all of `wanted`.
pub(super) fn plan(existing: &Existing, wanted: &[DefaultObject]) -> Vec<Change> {
    let mut changes = Vec::new();
    // ClusterRoles as they will be, for aggregation.
    let mut cluster_roles = BTreeMap::new();
    for ((plural, _, name), object) in existing {
        if *plural == Resource::CLUSTER_ROLES.plural {
            cluster_roles.insert(name.clone(), object.clone());
        }
    }
    for default in wanted {
        let key = (default.resource.plural, default.namespace.clone(), default.name.clone());
        let is_cluster_role = default.resource == Resource::CLUSTER_ROLES;
        let Some(current) = existing.get(&key) else {
            if is_cluster_role {
                cluster_roles.insert(default.name.clone(), default.object.clone());
            }
            changes.push(Change::Create {
                resource: default.resource,
                namespace: default.namespace.clone(),
                object: default.object.clone(),
            });
            continue;
        };
        if current.pointer("/metadata/annotations").and_then(|a| a.get(AUTOUPDATE)) == Some(&json!("false")) {
            continue;
        }
        let Some(change) = update(current, default) else { continue };
        if let (true, Change::Patch { patch, .. }) = (is_cluster_role, &change) {
            let mut patched = current.clone();
            merge(&mut patched, patch);
            cluster_roles.insert(default.name.clone(), patched);
        }
        changes.push(change);
    }
    fill_aggregated(&cluster_roles, &mut changes);
    changes
}

fn update(current: &Value, default: &DefaultObject) -> Option<Change> {
    let mut patch = Map::new();
    let metadata = missing_metadata(current, &default.object);
    if !metadata.is_empty() {
        patch.insert("metadata".to_owned(), Value::Object(metadata));
    }
    if default.resource.plural.ends_with("bindings") {
        if current["roleRef"] != default.object["roleRef"] {
            return Some(Change::Replace {
                resource: default.resource,
                namespace: default.namespace.clone(),
                name: default.name.clone(),
                object: default.object.clone(),
            });
        }
        let missing = missing_subjects(current, &default.object);
        if !missing.is_empty() {
            patch.insert("subjects".to_owned(), appended(&current["subjects"], missing));
        }
    } else if !default.object["aggregationRule"].is_null() {
        if current["aggregationRule"] != default.object["aggregationRule"] {
            patch.insert("aggregationRule".to_owned(), default.object["aggregationRule"].clone());
        }
    } else {
        let missing = compact(&covers(&rules(current), &rules(&default.object)));
        if !missing.is_empty() {
            let missing = missing.into_iter().map(|rule| json!(rule)).collect();
            patch.insert("rules".to_owned(), appended(&current["rules"], missing));
        }
    }
    (!patch.is_empty()).then(|| Change::Patch {
        resource: default.resource,
        namespace: default.namespace.clone(),
        name: default.name.clone(),
        patch: Value::Object(patch),
    })
}

/// Labels and annotations that `current` lacks; those that it has keep their values.
fn missing_metadata(current: &Value, wanted: &Value) -> Map<String, Value> {
    let mut metadata = Map::new();
    for field in ["labels", "annotations"] {
        let has = current.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        let wants = wanted.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        let missing = wants
            .into_iter()
            .flatten()
            .filter(|(key, _)| !has.is_some_and(|has| has.contains_key(*key)))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Map<_, _>>();
        if !missing.is_empty() {
            metadata.insert(field.to_owned(), Value::Object(missing));
        }
    }
    metadata
}

fn missing_subjects(current: &Value, wanted: &Value) -> Vec<Value> {
    let subjects = |object: &Value| -> Vec<Subject> {
        serde_json::from_value(object["subjects"].clone()).unwrap_or_default()
    };
    let has = subjects(current);
    subjects(wanted)
        .into_iter()
        .filter(|subject| !has.contains(subject))
        .map(|subject| json!(subject))
        .collect()
}

fn appended(list: &Value, more: Vec<Value>) -> Value {
    let mut list = list.as_array().cloned().unwrap_or_default();
    list.extend(more);
    Value::Array(list)
}

fn rules(object: &Value) -> Vec<Rule> {
    serde_json::from_value(object["rules"].clone()).unwrap_or_default()
}

fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(object.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (object, patch) => *object = patch.clone(),
    }
}

/// Gives every aggregated role the rules of the roles that it selects.
fn fill_aggregated(cluster_roles: &BTreeMap<String, Value>, changes: &mut Vec<Change>) {
    let roles = cluster_roles
        .iter()
        .filter_map(|(name, object)| {
            Some((name.clone(), serde_json::from_value::<Role>(object.clone()).ok()?))
        })
        .collect::<BTreeMap<_, _>>();
    for (name, patch) in aggregated_patches(&roles) {
        let create = changes.iter_mut().find_map(|change| match change {
            Change::Create { resource, object, .. }
                if *resource == Resource::CLUSTER_ROLES && object["metadata"]["name"] == name =>
            {
                Some(object)
            }
            _ => None,
        });
        match create {
            Some(object) => merge(object, &patch),
            None => changes.push(Change::Patch {
                resource: Resource::CLUSTER_ROLES,
                namespace: String::new(),
                name,
                patch,
            }),
        }
    }
}

/// The aggregated roles whose rules are not those of the roles that they select, with what corrects them.
pub(super) fn aggregated_patches(roles: &BTreeMap<String, Role>) -> Vec<(String, Value)> {
    let mut resolved = resolve_aggregation(roles);
    roles
        .iter()
        .filter(|(_, role)| role.aggregation_rule.is_some())
        .filter_map(|(name, role)| Some((name, role, resolved.remove(name)?)))
        .filter(|(_, role, rules)| role.rules != *rules)
        .map(|(name, _, rules)| (name.clone(), json!({"rules": rules})))
        .collect()
}

#[cfg(test)]
#[path = "rbac_tests.rs"]
mod tests;
