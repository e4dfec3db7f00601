//! What of metadata a client may not set: filled in on create, carried over on update.

use super::{metadata, metadata_mut, set_creation_timestamp, set_uid};
use serde_json::{Map, Value};

/// Gives a new object its uid and creation time (RFC 3339) and drops what only a deletion or the store may
/// set.
pub fn prepare_create(object: &mut Value, uid: &str, now: &str) {
    let metadata = metadata_mut(object);
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] {
        metadata.remove(field);
    }
    set_uid(object, uid);
    set_creation_timestamp(object, now);
}

/// Carries over the uid where the update names none, the creation and deletion times and the generation.
/// What the update sets to another value is left for `validate_meta_update` to refuse.
pub fn prepare_update(new: &mut Value, old: &Value) {
    let empty = Map::new();
    let old = metadata(old).unwrap_or(&empty);
    let new = metadata_mut(new);
    new.remove("selfLink");
    if new.get("uid").and_then(Value::as_str).unwrap_or_default().is_empty() {
        carry(new, old, "uid");
    }
    carry(new, old, "creationTimestamp");
    carry(new, old, "generation");
    if old.contains_key("deletionTimestamp") {
        carry(new, old, "deletionTimestamp");
    }
    if !new.contains_key("deletionGracePeriodSeconds") {
        carry(new, old, "deletionGracePeriodSeconds");
    }
}

fn carry(new: &mut Map<String, Value>, old: &Map<String, Value>, field: &str) {
    match old.get(field) {
        Some(value) => {
            new.insert(field.to_owned(), value.clone());
        }
        None => {
            new.remove(field);
        }
    }
}
