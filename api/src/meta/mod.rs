//! Typed access to an object's metadata, and its rules.
//!
//! Readers never fail: what is absent or of a wrong type reads as empty. Never looks at anything but
//! `metadata`.

mod lifecycle;
mod validate;

pub use lifecycle::{prepare_create, prepare_update};
pub(crate) use validate::validate_labels;
pub use validate::{missing_resource_version, validate_manager, validate_meta_create, validate_meta_update};

use serde_json::{Map, Value};

/// The finalizer of a foreground deletion.
pub const FINALIZER_FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of a deletion that orphans dependents.
pub const FINALIZER_ORPHAN: &str = "orphan";

fn metadata(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata")?.as_object()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    metadata(object).and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}

pub fn name(object: &Value) -> &str {
    text(object, "name")
}

pub fn generate_name(object: &Value) -> &str {
    text(object, "generateName")
}

/// Empty for cluster-scoped objects.
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// 0 when the kind has none.
pub fn generation(object: &Value) -> i64 {
    metadata(object).and_then(|m| m.get("generation")).and_then(Value::as_i64).unwrap_or_default()
}

pub fn labels(object: &Value) -> Option<&Map<String, Value>> {
    metadata(object)?.get("labels")?.as_object()
}

pub fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    metadata(object)?.get("annotations")?.as_object()
}

pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    labels(object)?.get(key)?.as_str()
}

pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    annotations(object)?.get(key)?.as_str()
}

pub fn finalizers(object: &Value) -> Vec<&str> {
    list(object, "finalizers").iter().filter_map(Value::as_str).collect()
}

pub fn owner_references(object: &Value) -> &[Value] {
    list(object, "ownerReferences")
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    metadata(object).and_then(|m| m.get(field)).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The ownerReference whose `controller` is set.
pub fn controller_of(object: &Value) -> Option<&Value> {
    owner_references(object).iter().find(|o| o.get("controller") == Some(&Value::Bool(true)))
}

fn optional_text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    metadata(object)?.get(field)?.as_str()
}

/// RFC 3339.
pub fn creation_timestamp(object: &Value) -> Option<&str> {
    optional_text(object, "creationTimestamp")
}

/// RFC 3339; set while the object is being deleted.
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    optional_text(object, "deletionTimestamp")
}

pub fn deletion_grace_period_seconds(object: &Value) -> Option<i64> {
    metadata(object)?.get("deletionGracePeriodSeconds")?.as_i64()
}

/// The map at `field` of `object`, made when it is absent or no object.
fn map_mut<'a>(object: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    match &mut object[field] {
        Value::Object(map) => map,
        other => {
            *other = Value::Object(Map::new());
            other.as_object_mut().expect("an object was just put there")
        }
    }
}

/// The metadata for writing; made when absent.
pub fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    map_mut(object, "metadata")
}

fn set_text(object: &mut Value, field: &str, value: &str) {
    metadata_mut(object).insert(field.to_owned(), Value::String(value.to_owned()));
}

pub fn set_name(object: &mut Value, name: &str) {
    set_text(object, "name", name);
}

pub fn set_namespace(object: &mut Value, namespace: &str) {
    set_text(object, "namespace", namespace);
}

pub fn set_uid(object: &mut Value, uid: &str) {
    set_text(object, "uid", uid);
}

pub fn set_resource_version(object: &mut Value, version: &str) {
    set_text(object, "resourceVersion", version);
}

/// `timestamp` is RFC 3339.
pub fn set_creation_timestamp(object: &mut Value, timestamp: &str) {
    set_text(object, "creationTimestamp", timestamp);
}

pub fn set_generation(object: &mut Value, generation: i64) {
    metadata_mut(object).insert("generation".to_owned(), Value::from(generation));
}

/// Marks the object as being deleted at `timestamp` (RFC 3339) with a grace period in seconds.
pub fn set_deletion(object: &mut Value, timestamp: &str, grace: i64) {
    set_text(object, "deletionTimestamp", timestamp);
    metadata_mut(object).insert("deletionGracePeriodSeconds".to_owned(), Value::from(grace));
}

pub fn set_label(object: &mut Value, key: &str, value: &str) {
    set_in(object, "labels", key, value);
}

pub fn set_annotation(object: &mut Value, key: &str, value: &str) {
    set_in(object, "annotations", key, value);
}

fn set_in(object: &mut Value, map: &str, key: &str, value: &str) {
    let entries = metadata_mut(object).entry(map).or_insert_with(|| Value::Object(Map::new()));
    if !entries.is_object() {
        *entries = Value::Object(Map::new());
    }
    entries[key] = Value::String(value.to_owned());
}

#[cfg(test)]
mod tests;
