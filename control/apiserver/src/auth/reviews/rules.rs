//! `kubectl auth can-i --list`: all that the asker may do in a namespace.

use super::{answered, spec};
use crate::auth::Auth;
use keelson_api::identity::UserInfo;
use keelson_api::status::Status;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    namespace: String,
}

pub(super) fn own(auth: &Auth, user: &UserInfo, object: Value) -> Result<Value, Status> {
    let asked: Spec = spec(&object)?;
    if asked.namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let (rules, errors, incomplete) = auth.authorizer.rules_for(user, &asked.namespace);
    let mut resources = Vec::new();
    let mut paths = Vec::new();
    for rule in rules {
        if rule.non_resource_urls.is_empty() {
            let mut shown =
                json!({"verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources});
            if !rule.resource_names.is_empty() {
                shown["resourceNames"] = json!(rule.resource_names);
            }
            resources.push(shown);
        } else {
            paths.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls}));
        }
    }
    let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": incomplete});
    match errors.as_slice() {
        [] => {}
        [one] => status["evaluationError"] = json!(one),
        many => status["evaluationError"] = json!(format!("[{}]", many.join(", "))),
    }
    Ok(answered("SelfSubjectRulesReview", "authorization.k8s.io/v1", &object, status))
}
