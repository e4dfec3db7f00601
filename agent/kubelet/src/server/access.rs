//! Who calls the kubelet server, and whether they may.

use crate::actions::Context;
use http::{HeaderMap, Method};
use keelson_api::identity::{GROUP_MASTERS, UserInfo};
use keelson_api::resource::Resource;
use keelson_client::Client;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

/// The API server's own client certificate: it has authorized the user already.
const API_SERVER: &str = "kube-apiserver-kubelet-client";

pub(super) type Caller = UserInfo;

/// Name and groups in a verified client certificate: CN and O.
pub(super) fn identity(certificate: &CertificateDer<'_>) -> Option<Caller> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|o| o.as_str().ok().map(str::to_owned)).collect();
    Some(UserInfo { username: name, groups, ..UserInfo::default() })
}

/// The user behind a bearer token, by the API's word.
pub(super) async fn by_token(client: &Client, headers: &HeaderMap) -> Option<Caller> {
    let token = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let review =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
    let reply: Value = client.create(&Resource::TOKEN_REVIEWS, "", &review).await.ok()?;
    let status = reply.get("status")?;
    if status.get("authenticated").and_then(Value::as_bool) != Some(true) {
        return None;
    }
    serde_json::from_value(status.get("user")?.clone()).ok()
}

/// The verb that a request needs. Entering a container is `create`, however it is asked for.
fn verb(method: &Method, path: &str) -> &'static str {
    let enters = ["/exec/", "/attach/", "/portForward/"].iter().any(|p| path.starts_with(p));
    match *method {
        _ if enters => "create",
        Method::POST | Method::CONNECT => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}

/// Subresources of the node, any of which gives the permission.
fn subresources(path: &str) -> &'static [&'static str] {
    match path {
        "/metrics" => &["metrics"],
        "/pods" => &["pods", "proxy"],
        "/healthz" => &["healthz", "proxy"],
        _ => &["proxy"],
    }
}

/// Asks the API unless the caller is the API server or an administrator; the error is the refusal in words.
pub(super) async fn check(
    context: &Context,
    caller: &Caller,
    method: &Method,
    path: &str,
) -> Result<(), String> {
    if caller.username == API_SERVER || caller.in_group(GROUP_MASTERS) {
        return Ok(());
    }
    let (verb, node) = (verb(method, path), context.config.node_name.as_str());
    let mut last = "";
    for subresource in subresources(path) {
        last = subresource;
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": caller.username, "groups": caller.groups, "uid": caller.uid, "extra": caller.extra,
                "resourceAttributes": {
                    "verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource, "name": node,
                },
            },
        });
        let reply: Result<Value, _> =
            context.client.create(&Resource::SUBJECT_ACCESS_REVIEWS, "", &review).await;
        match reply {
            Ok(reply) if reply.pointer("/status/allowed").and_then(Value::as_bool) == Some(true) => {
                return Ok(());
            }
            Ok(_) => {}
            Err(error) => return Err(format!("Authorization error: {error}")),
        }
    }
    Err(format!("Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{last}])", caller.username))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entering_needs_create() {
        let check = |method: Method, path: &str, expect: &str| assert_eq!(verb(&method, path), expect);
        check(Method::GET, "/exec/n/p/c", "create");
        check(Method::POST, "/exec/n/p/c", "create");
        check(Method::GET, "/portForward/n/p", "create");
        check(Method::GET, "/containerLogs/n/p/c", "get");
        check(Method::DELETE, "/pods", "delete");
        check(Method::CONNECT, "", "create");
        assert_eq!(subresources(""), ["proxy"]);
    }
}
