//! The review kinds: questions about identity and rights that are created, answered and not stored.

mod access;
mod identity;
mod rules;

use super::Auth;
use keelson_api::identity::UserInfo;
use keelson_api::status::Status;
use serde_json::Value;

/// Answers the review `object` of `kind`, which has passed the decoder.
pub(super) fn review(
    auth: &Auth,
    kind: &str,
    user: &UserInfo,
    namespace: &str,
    object: Value,
) -> Result<Value, Status> {
    match kind {
        "SelfSubjectReview" => Ok(identity::self_subject(user, &super::clock::timestamp())),
        "TokenReview" => identity::token(auth, object),
        "SubjectAccessReview" => access::subject(auth, object),
        "SelfSubjectAccessReview" => access::own(auth, user, object),
        "LocalSubjectAccessReview" => access::local(auth, namespace, object),
        "SelfSubjectRulesReview" => rules::own(auth, user, object),
        _ => Err(Status::method_not_allowed()),
    }
}

/// The answer: the question's metadata and spec with a status.
fn answered(kind: &str, api_version: &str, object: &Value, status: Value) -> Value {
    let mut metadata =
        object.get("metadata").filter(|m| m.is_object()).cloned().unwrap_or_else(|| serde_json::json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("managedFields");
    }
    serde_json::json!({
        "kind": kind,
        "apiVersion": api_version,
        "metadata": metadata,
        "spec": object.get("spec").cloned().unwrap_or_else(|| serde_json::json!({})),
        "status": status,
    })
}

/// The object's spec, read as `T`.
fn spec<T: serde::de::DeserializeOwned + Default>(object: &Value) -> Result<T, Status> {
    match object.get("spec") {
        None | Some(Value::Null) => Ok(T::default()),
        Some(spec) => serde_json::from_value(spec.clone())
            .map_err(|error| Status::bad_request(format!("spec cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests;
