//! Nobody hands out rights that they do not hold, unless they may `escalate` the role or `bind` it.

use super::refuse;
use crate::admission::{Admission, Operation};
use crate::auth::rbac::{ALL, Rule, compact, covers, describe, quoted_list};
use crate::auth::{Attributes, Auth};
use keelson_api::identity::{GROUP_MASTERS, UserInfo};
use keelson_api::status::Status;
use serde_json::Value;
use std::collections::BTreeSet;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn validate(auth: &Auth, admission: &Admission<'_>) -> Result<(), Status> {
    let Some(object) = admission.object else { return Ok(()) };
    match admission.operation {
        Operation::Create => {}
        Operation::Update if admission.old.is_some_and(|old| same_but_for_collection(old, object)) => {
            return Ok(());
        }
        Operation::Update => {}
        Operation::Delete | Operation::Connect => return Ok(()),
    }
    if admission.user.in_group(GROUP_MASTERS) {
        return Ok(());
    }
    match admission.def.kind {
        "Role" | "ClusterRole" => role(auth, admission, object),
        "RoleBinding" | "ClusterRoleBinding" => binding(auth, admission, object),
        _ => Ok(()),
    }
}

/// Whether the change touches only what garbage collection needs to remove the object.
fn same_but_for_collection(old: &Value, new: &Value) -> bool {
    let essence = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in [
                "ownerReferences",
                "finalizers",
                "managedFields",
                "resourceVersion",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
            ] {
                metadata.remove(field);
            }
        }
        object
    };
    essence(old) == essence(new)
}

fn may(auth: &Auth, user: &UserInfo, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
    let attributes = Attributes {
        verb,
        group: GROUP,
        version: "v1",
        resource,
        namespace,
        name,
        is_resource: true,
        ..Attributes::default()
    };
    auth.authorize(user, &attributes).allowed()
}

fn role(auth: &Auth, admission: &Admission<'_>, object: &Value) -> Result<(), Status> {
    let name = super::text(object, "/metadata/name");
    if may(auth, admission.user, "escalate", admission.def.plural, admission.namespace, name) {
        return Ok(());
    }
    confirm(auth, admission, &rules(object))?;
    if object.get("aggregationRule").is_some_and(|rule| !rule.is_null()) {
        let all = || vec![ALL.to_owned()];
        let everything = [
            Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() },
            Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() },
        ];
        let (held, _, _) = auth.authorizer.rules_for(admission.user, "");
        if !covers(&held, &everything).is_empty() {
            return Err(refuse(admission, "must have cluster-admin privileges to use the aggregationRule"));
        }
    }
    Ok(())
}

fn rules(object: &Value) -> Vec<Rule> {
    object.get("rules").and_then(|rules| serde_json::from_value(rules.clone()).ok()).unwrap_or_default()
}

fn binding(auth: &Auth, admission: &Admission<'_>, object: &Value) -> Result<(), Status> {
    let kind = super::text(object, "/roleRef/kind");
    let name = super::text(object, "/roleRef/name");
    let resource = if kind == "Role" { "roles" } else { "clusterroles" };
    if may(auth, admission.user, "bind", resource, admission.namespace, name) {
        return Ok(());
    }
    // The check above has caught up with the store.
    match auth.authorizer.rbac.index().role(kind, name, admission.namespace) {
        Some(rules) => confirm(auth, admission, &rules),
        None => Err(Status::not_found(GROUP, resource, name)),
    }
}

/// Refuses to hand out what the user does not hold.
fn confirm(auth: &Auth, admission: &Admission<'_>, granted: &[Rule]) -> Result<(), Status> {
    let user = admission.user;
    let (held, errors, _) = auth.authorizer.rules_for(user, admission.namespace);
    let missing = covers(&held, granted);
    if missing.is_empty() {
        return Ok(());
    }
    let missing = compact(&missing).iter().map(describe).collect::<BTreeSet<_>>();
    let mut why = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.username,
        quoted_list(&user.groups),
        missing.into_iter().collect::<Vec<_>>().join("\n")
    );
    if !errors.is_empty() {
        why.push_str(&format!("; resolution errors: [{}]", errors.join(", ")));
    }
    Err(refuse(admission, &why))
}

#[cfg(test)]
#[path = "escalation_tests.rs"]
mod tests;
