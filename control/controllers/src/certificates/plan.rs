//! Which requests are approved, signed, refused or forgotten.

use super::request::Request;
use jiff::Timestamp;
use keelson_client::views::{CertificateSigningRequest, Condition, Node, condition};
use std::time::Duration;

pub(super) const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
pub(super) const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";
const API_CLIENT: &str = "kubernetes.io/kube-apiserver-client";
const LEGACY: &str = "kubernetes.io/legacy-unknown";
const NODES: &str = "system:nodes";
const NODE_PREFIX: &str = "system:node:";

/// How long requests are kept: decided ones and undecided ones, in seconds.
const KEEP_DECIDED: i64 = 3600;
const KEEP_PENDING: i64 = 24 * 3600;
/// Certificates are valid for a year unless less is asked for, and never for less than ten minutes.
const VALID_SECONDS_MAX: i64 = 365 * 24 * 3600;
const VALID_SECONDS_MIN: i64 = 600;

/// What to do about a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Look again after this time, or when the node changes.
    Wait(Option<Duration>),
    Approve {
        message: &'static str,
    },
    /// Approve if the requester may create this subresource of requests.
    Review {
        subresource: &'static str,
    },
    Sign {
        seconds: i64,
    },
    Fail {
        reason: &'static str,
        message: String,
    },
    Delete,
}

/// `request` is the parsed PKCS #10, `node` the node that a serving certificate is for.
pub(super) fn plan(
    csr: &CertificateSigningRequest,
    request: &Result<Request, String>,
    node: Option<&Node>,
    now: Timestamp,
) -> Action {
    let left = seconds_left(csr, now);
    if left <= 0 {
        return Action::Delete;
    }
    let wait = Action::Wait(Some(Duration::from_secs(u64::try_from(left).unwrap_or(0))));
    let decided = csr.has_condition("Denied") || csr.has_condition("Failed");
    if decided || !csr.status.certificate.0.is_empty() {
        return wait;
    }
    let signer = csr.spec.signer_name.as_str();
    if !csr.has_condition("Approved") {
        return match request {
            Ok(request) => approve(csr, request, node).unwrap_or(wait),
            Err(_) => wait,
        };
    }
    if ![KUBELET_CLIENT, KUBELET_SERVING, API_CLIENT, LEGACY].contains(&signer) {
        return wait;
    }
    let checked = request.as_ref().map_err(Clone::clone).and_then(|r| check(csr, r).map_err(str::to_owned));
    if let Err(message) = checked {
        return Action::Fail { reason: "SignerValidationFailure", message };
    }
    let asked = csr.spec.expiration_seconds.unwrap_or(VALID_SECONDS_MAX);
    Action::Sign { seconds: asked.clamp(VALID_SECONDS_MIN, VALID_SECONDS_MAX) }
}

fn seconds_left(csr: &CertificateSigningRequest, now: Timestamp) -> i64 {
    let conditions = &csr.status.conditions;
    let decision = ["Denied", "Failed", "Approved"].iter().find_map(|t| condition(conditions, t));
    let issued = !csr.status.certificate.0.is_empty();
    let (since, keep) = match decision {
        Some(c) if c.r#type != "Approved" || issued => (c.last_update_time, KEEP_DECIDED),
        _ => (None, KEEP_PENDING),
    };
    let since = since.or(csr.metadata.creation_timestamp).unwrap_or(now);
    since.as_second() + keep - now.as_second()
}

/// The approval of a request that needs no human.
fn approve(csr: &CertificateSigningRequest, request: &Request, node: Option<&Node>) -> Option<Action> {
    check(csr, request).ok()?;
    let own = csr.spec.username == request.common_name;
    match csr.spec.signer_name.as_str() {
        KUBELET_CLIENT if own => Some(Action::Review { subresource: "selfnodeclient" }),
        KUBELET_CLIENT => Some(Action::Review { subresource: "nodeclient" }),
        KUBELET_SERVING if own && csr.spec.groups.iter().any(|g| g == NODES) => {
            let node =
                node.filter(|n| request.common_name.strip_prefix(NODE_PREFIX) == Some(&n.metadata.name))?;
            let message = "Auto approving kubelet serving certificate of the node's own addresses.";
            names_are_the_nodes(request, node).then_some(Action::Approve { message })
        }
        _ => None,
    }
}

/// Every name asked for is an address of the node.
fn names_are_the_nodes(request: &Request, node: &Node) -> bool {
    let has = |address: &str| node.status.addresses.iter().any(|a| a.address == address);
    request.dns_names.iter().all(|name| has(name) || *name == node.metadata.name)
        && request.ips.iter().all(|ip| has(&ip.to_string()))
}

/// The rules of each signer.
fn check(csr: &CertificateSigningRequest, request: &Request) -> Result<(), &'static str> {
    let usages: Vec<&str> = csr.spec.usages.iter().map(String::as_str).collect();
    let only = |allowed: &[&str]| usages.iter().all(|u| allowed.contains(u));
    if request.repeats {
        return Err("the subject has several values of one attribute");
    }
    let has_names = !request.dns_names.is_empty() || !request.ips.is_empty();
    match csr.spec.signer_name.as_str() {
        KUBELET_CLIENT | KUBELET_SERVING => {
            if request.organizations != [NODES] {
                return Err("subject organization is not system:nodes");
            }
            if request.common_name.strip_prefix(NODE_PREFIX).is_none_or(str::is_empty) {
                return Err("subject common name does not begin with system:node:");
            }
        }
        _ => {}
    }
    let purpose = if csr.spec.signer_name == KUBELET_SERVING { "server auth" } else { "client auth" };
    let strict = usages.contains(&purpose) && only(&["digital signature", "key encipherment", purpose]);
    match csr.spec.signer_name.as_str() {
        KUBELET_CLIENT if has_names || request.other_names > 0 => Err("subjectAltNames are not allowed"),
        KUBELET_SERVING if !has_names => Err("DNS or IP subjectAltName is required"),
        KUBELET_SERVING if request.other_names > 0 => Err("email and URI subjectAltNames are not allowed"),
        LEGACY => Ok(()),
        _ if !strict => Err("usages did not match those that the signer permits"),
        KUBELET_CLIENT | KUBELET_SERVING if !usages.contains(&"digital signature") => {
            Err("usages did not match those that the signer permits")
        }
        _ => Ok(()),
    }
}

/// The conditions with one more.
pub(super) fn with_condition(
    csr: &CertificateSigningRequest,
    r#type: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions = csr.status.conditions.clone();
    conditions.push(Condition {
        r#type: r#type.to_owned(),
        status: "True".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_update_time: Some(now),
        last_transition_time: Some(now),
        ..Condition::default()
    });
    conditions
}
