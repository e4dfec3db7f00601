//! The list of the kinds served, and how a request finds its kind.

use super::{KindDef, config_map, event, lease, namespace, node, pod, secret, service};

static KINDS: &[&KindDef] = &[
    &config_map::KIND,
    &event::KIND,
    &namespace::KIND,
    &node::KIND,
    &pod::KIND,
    &secret::KIND,
    &service::KIND,
    &lease::KIND,
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
