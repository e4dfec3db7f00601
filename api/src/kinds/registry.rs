//! The list of the kinds served, and how a request finds its kind.

use super::{
    KindDef, binding, cluster_role, cluster_role_binding, config_map, csr, deployment, endpoint_slice,
    endpoints, event, event_v1, lease, namespace, network_policy, node, pod, pod_template, replica_set,
    reviews, role, role_binding, secret, service, service_account,
};

static KINDS: &[&KindDef] = &[
    &binding::KIND,
    &config_map::KIND,
    &endpoints::KIND,
    &event::KIND,
    &namespace::KIND,
    &node::KIND,
    &pod::KIND,
    &pod_template::KIND,
    &secret::KIND,
    &service_account::KIND,
    &service::KIND,
    &deployment::KIND,
    &replica_set::KIND,
    &event_v1::KIND,
    &reviews::SELF_SUBJECT_REVIEW,
    &reviews::TOKEN_REVIEW,
    &reviews::LOCAL_SUBJECT_ACCESS_REVIEW,
    &reviews::SELF_SUBJECT_ACCESS_REVIEW,
    &reviews::SELF_SUBJECT_RULES_REVIEW,
    &reviews::SUBJECT_ACCESS_REVIEW,
    &csr::KIND,
    &network_policy::KIND,
    &cluster_role_binding::KIND,
    &cluster_role::KIND,
    &role_binding::KIND,
    &role::KIND,
    &lease::KIND,
    &endpoint_slice::KIND,
];

/// Every kind served, in the order of discovery.
pub fn registry() -> &'static [&'static KindDef] {
    KINDS
}

/// The kind at a path: group, version and plural name.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static KindDef> {
    KINDS.iter().copied().find(|k| k.group == group && k.version == version && k.plural == plural)
}

/// The kind of an object: group, version and kind.
pub fn by_kind(group: &str, version: &str, kind: &str) -> Option<&'static KindDef> {
    KINDS.iter().copied().find(|k| k.group == group && k.version == version && k.kind == kind)
}
