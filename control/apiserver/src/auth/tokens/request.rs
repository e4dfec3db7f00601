//! `serviceaccounts/token`: hands out a token for a service account, bound to a pod, a secret or a node.

use super::claims::{Kubernetes, ObjectRef};
use super::issuer::TokenIssuer;
use crate::auth::lookup::{Brief, Lookup, brief};
use keelson_api::field::{FieldError, FieldErrors, Path};
use keelson_api::status::Status;
use serde::Deserialize;
use serde_json::{Value, json};

const GROUP: &str = "authentication.k8s.io";
const DEFAULT_SECONDS: i64 = 3600;
const MIN_SECONDS: i64 = 600;
const MAX_SECONDS: i64 = 1 << 32;

#[derive(Deserialize, Default)]
#[serde(default)]
struct TokenRequest {
    metadata: Meta,
    spec: Spec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta {
    name: String,
    namespace: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    audiences: Option<Vec<String>>,
    expiration_seconds: Option<i64>,
    bound_object_ref: Option<BoundObjectRef>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct BoundObjectRef {
    kind: String,
    api_version: String,
    name: String,
    uid: String,
}

impl BoundObjectRef {
    /// As Go prints a GroupVersionKind.
    fn described(&self) -> String {
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", &self.api_version));
        format!("{group}/{version}, Kind={}", self.kind)
    }

    fn check_uid(&self, uid: &str) -> Result<(), Status> {
        if self.uid.is_empty() || self.uid == uid {
            return Ok(());
        }
        let why = format!(
            "the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
            self.uid
        );
        Err(Status::conflict("", &self.kind, &self.name, &why))
    }
}

fn read(objects: &dyn Lookup, resource: &str, namespace: &str, name: &str) -> Result<Brief, Status> {
    let key = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    brief(objects, resource, &key)
        .map(|(_, object)| object)
        .ok_or_else(|| Status::not_found("", resource, name))
}

fn reference(object: &Brief) -> ObjectRef {
    ObjectRef { name: object.metadata.name.clone(), uid: object.metadata.uid.clone() }
}

/// Adds to `subject` what the request binds the token to.
fn bind(objects: &dyn Lookup, bound: &BoundObjectRef, subject: &mut Kubernetes) -> Result<(), Status> {
    let account = subject.serviceaccount.name.as_str();
    let object = match (bound.api_version.as_str(), bound.kind.as_str()) {
        ("v1", "Pod") => {
            let pod = read(objects, "pods", &subject.namespace, &bound.name)?;
            if pod.spec.service_account_name != account {
                return Err(Status::bad_request(format!(
                    "cannot bind token for serviceaccount {account:?} to pod running with serviceaccount {:?}",
                    pod.spec.service_account_name
                )));
            }
            if !pod.spec.node_name.is_empty() {
                // The node's name is told even when its object is gone.
                let uid = brief(objects, "nodes", &pod.spec.node_name).map(|(_, node)| node.metadata.uid);
                subject.node =
                    Some(ObjectRef { name: pod.spec.node_name.clone(), uid: uid.unwrap_or_default() });
            }
            subject.pod = Some(reference(&pod));
            pod
        }
        ("v1", "Secret") => {
            let secret = read(objects, "secrets", &subject.namespace, &bound.name)?;
            subject.secret = Some(reference(&secret));
            secret
        }
        ("v1", "Node") => {
            let node = read(objects, "nodes", "", &bound.name)?;
            subject.node = Some(reference(&node));
            node
        }
        _ => {
            return Err(Status::bad_request(format!(
                "cannot bind token to object of type {}",
                bound.described()
            )));
        }
    };
    bound.check_uid(&object.metadata.uid)
}

fn check_seconds(seconds: i64) -> Result<(), Status> {
    let path = Path::new("spec").child("expirationSeconds");
    let mut errors = FieldErrors::new();
    if seconds < MIN_SECONDS {
        errors.push(FieldError::invalid(&path, seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > MAX_SECONDS {
        errors.push(FieldError::invalid(
            &path,
            seconds,
            "may not specify a duration larger than 2^32 seconds",
        ));
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(GROUP, "TokenRequest", "", &errors)) }
}

fn timestamp(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

/// Answers a TokenRequest for `namespace/account`; `request` has passed the decoder.
pub(crate) fn create_token(
    issuer: &TokenIssuer,
    objects: &dyn Lookup,
    (namespace, account): (&str, &str),
    request: Value,
    now_seconds: i64,
) -> Result<Value, Status> {
    let parsed: TokenRequest = serde_json::from_value(request.clone())
        .map_err(|error| Status::bad_request(format!("the TokenRequest cannot be read: {error}")))?;
    for (what, given, url) in
        [("name", &parsed.metadata.name, account), ("namespace", &parsed.metadata.namespace, namespace)]
    {
        if !given.is_empty() && given != url {
            return Err(Status::bad_request(format!(
                "the {what} of the provided object does not match the {what} sent on the request"
            )));
        }
    }
    let seconds = parsed.spec.expiration_seconds.unwrap_or(DEFAULT_SECONDS);
    check_seconds(seconds)?;
    let service_account = read(objects, "serviceaccounts", namespace, account)?;
    let mut subject = Kubernetes {
        namespace: namespace.to_owned(),
        serviceaccount: ObjectRef { name: account.to_owned(), uid: service_account.metadata.uid },
        ..Kubernetes::default()
    };
    if let Some(bound) = &parsed.spec.bound_object_ref {
        bind(objects, bound, &mut subject)?;
    }
    let audiences = parsed.spec.audiences.filter(|list| !list.is_empty());
    let audiences = audiences.unwrap_or_else(|| issuer.api_audiences().to_vec());
    let (token, claims) = issuer
        .issue(subject, audiences, now_seconds, seconds)
        .ok_or_else(|| Status::internal("failed to generate token: no randomness"))?;
    Ok(json!({
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": account, "namespace": namespace, "creationTimestamp": timestamp(now_seconds)},
        "spec": {
            "audiences": claims.aud,
            "expirationSeconds": seconds,
            "boundObjectRef": request.pointer("/spec/boundObjectRef").cloned().unwrap_or_default(),
        },
        "status": {"token": token, "expirationTimestamp": timestamp(claims.exp)},
    }))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
