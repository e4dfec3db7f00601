//! `metadata.generation`: the count of changes of what a user wants of an object.

use crate::validation::value::{dig, same, set};
use serde_json::Value;

/// Starts the count of a new object.
pub(super) fn start(object: &mut Value) {
    write(object, 1);
}

/// Carries the count over from `old`, one up when `changed`.
pub(super) fn carry(new: &mut Value, old: &Value, changed: bool) {
    let count = dig(old, &["metadata", "generation"]).as_i64().unwrap_or_default();
    write(new, if changed { count.saturating_add(1) } else { count });
}

/// Carries the count over, one up when the field of that name differs.
pub(super) fn carry_with_field(new: &mut Value, old: &Value, field: &str) {
    let changed = !same(&new[field], &old[field]);
    carry(new, old, changed);
}

fn write(object: &mut Value, count: i64) {
    if let Some(metadata) = object.get_mut("metadata") {
        if count == 0 {
            // A kind may have got its count after the object was stored; 0 is not written.
            crate::validation::value::remove(metadata, "generation");
        } else {
            set(metadata, "generation", count);
        }
    }
}
