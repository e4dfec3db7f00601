//! Reviews of what somebody may do: `kubectl auth can-i` and its kin.

use super::{answered, spec};
use crate::auth::{Attributes, Auth, Decision};
use keelson_api::field::{FieldError, FieldErrors, Path};
use keelson_api::identity::UserInfo;
use keelson_api::status::Status;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const GROUP: &str = "authorization.k8s.io";
const API_VERSION: &str = "authorization.k8s.io/v1";

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    resource_attributes: Option<ResourceAttributes>,
    non_resource_attributes: Option<NonResourceAttributes>,
    user: String,
    groups: Option<Vec<String>>,
    uid: String,
    extra: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ResourceAttributes {
    namespace: String,
    verb: String,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    name: String,
    field_selector: Option<Selector>,
    label_selector: Option<Selector>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NonResourceAttributes {
    path: String,
    verb: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Selector {
    raw_selector: String,
    requirements: Option<Vec<Requirement>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Requirement {
    key: String,
    operator: String,
    values: Option<Vec<String>>,
}

impl Selector {
    /// The demands for equality, as a query would carry them; no other one can make a decision wider.
    fn query(&self) -> String {
        if !self.raw_selector.is_empty() {
            return self.raw_selector.clone();
        }
        let equal = self.requirements.iter().flatten().filter_map(|requirement| {
            match requirement.values.as_deref() {
                Some([value]) if requirement.operator == "In" => Some(format!("{}={value}", requirement.key)),
                _ => None,
            }
        });
        equal.collect::<Vec<_>>().join(",")
    }
}

impl Spec {
    fn user(&self) -> UserInfo {
        UserInfo {
            username: self.user.clone(),
            uid: self.uid.clone(),
            groups: self.groups.clone().unwrap_or_default(),
            extra: self.extra.clone().unwrap_or_default(),
        }
    }

    fn check(&self, object: &Value) -> FieldErrors {
        let path = Path::new("spec");
        let mut errors = FieldErrors::new();
        match (&self.resource_attributes, &self.non_resource_attributes) {
            (Some(_), Some(_)) => errors.push(FieldError::invalid(
                &path.child("nonResourceAttributes"),
                object["spec"]["nonResourceAttributes"].clone(),
                "cannot be specified in combination with resourceAttributes",
            )),
            (None, None) => errors.push(FieldError::invalid(
                &path.child("resourceAttributes"),
                Value::Null,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )),
            _ => {}
        }
        errors
    }

    fn check_subject(&self) -> Option<FieldError> {
        let nobody = self.user.is_empty() && self.groups.as_ref().is_none_or(Vec::is_empty);
        let path = Path::new("spec").child("user");
        nobody.then(|| FieldError::invalid(&path, "", "at least one of user or group must be specified"))
    }

    /// The review's status: whether `user` may do what the spec says.
    fn decide(&self, auth: &Auth, user: &UserInfo) -> Value {
        let decision = match (&self.resource_attributes, &self.non_resource_attributes) {
            (Some(resource), _) => {
                let fields = resource.field_selector.as_ref().map(Selector::query).unwrap_or_default();
                let labels = resource.label_selector.as_ref().map(Selector::query).unwrap_or_default();
                auth.authorize(
                    user,
                    &Attributes {
                        verb: &resource.verb,
                        group: &resource.group,
                        version: &resource.version,
                        resource: &resource.resource,
                        subresource: &resource.subresource,
                        namespace: &resource.namespace,
                        name: &resource.name,
                        path: "",
                        is_resource: true,
                        field_selector: &fields,
                        label_selector: &labels,
                    },
                )
            }
            (None, Some(other)) => auth.authorize(user, &Attributes::path(&other.verb, &other.path)),
            (None, None) => return json!({"allowed": false}),
        };
        let mut status = json!({"allowed": decision.allowed()});
        if matches!(decision, Decision::Deny(_)) {
            status["denied"] = json!(true);
        }
        if !decision.reason().is_empty() {
            status["reason"] = json!(decision.reason().to_string());
        }
        status
    }
}

fn invalid(errors: &FieldErrors) -> Result<(), Status> {
    // Kubernetes names no kind here.
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(GROUP, "", "", errors)) }
}

fn check_metadata(object: &Value, allowed: &[&str]) -> Option<FieldError> {
    let metadata = object.get("metadata")?.as_object()?;
    let set = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    let other = metadata
        .iter()
        .any(|(key, value)| key != "managedFields" && !allowed.contains(&key.as_str()) && set(value));
    other.then(|| FieldError::invalid(&Path::new("metadata"), object["metadata"].clone(), "must be empty"))
}

/// A SubjectAccessReview: what some user may do.
pub(super) fn subject(auth: &Auth, object: Value) -> Result<Value, Status> {
    let asked: Spec = spec(&object)?;
    let mut errors = asked.check(&object);
    errors.extend(asked.check_subject());
    errors.extend(check_metadata(&object, &[]));
    invalid(&errors)?;
    let status = asked.decide(auth, &asked.user());
    Ok(answered("SubjectAccessReview", API_VERSION, &object, status))
}

/// A SelfSubjectAccessReview: what the asker may do.
pub(super) fn own(auth: &Auth, user: &UserInfo, object: Value) -> Result<Value, Status> {
    let asked: Spec = spec(&object)?;
    let mut errors = asked.check(&object);
    errors.extend(check_metadata(&object, &[]));
    invalid(&errors)?;
    let status = asked.decide(auth, user);
    Ok(answered("SelfSubjectAccessReview", API_VERSION, &object, status))
}

/// A LocalSubjectAccessReview: what some user may do in the namespace of the request.
pub(super) fn local(auth: &Auth, namespace: &str, object: Value) -> Result<Value, Status> {
    let asked: Spec = spec(&object)?;
    let mut errors = asked.check(&object);
    errors.extend(asked.check_subject());
    errors.extend(check_metadata(&object, &["namespace"]));
    let path = Path::new("spec");
    if asked.non_resource_attributes.is_some() {
        errors.push(FieldError::invalid(
            &path.child("nonResourceAttributes"),
            object["spec"]["nonResourceAttributes"].clone(),
            "disallowed on this kind of request",
        ));
    }
    if let Some(resource) = asked.resource_attributes.as_ref().filter(|r| r.namespace != namespace) {
        errors.push(FieldError::invalid(
            &path.child("resourceAttributes").child("namespace"),
            resource.namespace.clone(),
            "must match metadata.namespace",
        ));
    }
    invalid(&errors)?;
    let status = asked.decide(auth, &asked.user());
    Ok(answered("LocalSubjectAccessReview", API_VERSION, &object, status))
}
