//! The directives of a strategic merge patch: what steers a merge and is not part of the object.

use crate::go;
use crate::status::Status;
use serde_json::{Map, Value};
use thiserror::Error;

/// Says what happens to a map or to an item: `replace`, `delete` or `merge`.
pub(super) const PATCH: &str = "$patch";
/// The keys of a map that survive.
pub(super) const RETAIN_KEYS: &str = "$retainKeys";
/// `$setElementOrder/FIELD`: the order of a list's items.
pub(super) const SET_ELEMENT_ORDER: &str = "$setElementOrder";
/// `$deleteFromPrimitiveList/FIELD`: values that leave a list.
pub(super) const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList";

/// Why a strategic merge patch does not apply, in Kubernetes' words.
#[derive(Debug, Error)]
pub(super) enum StrategicError {
    #[error("lists of lists are not supported")]
    ListOfLists,
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    #[error("invalid patch format of setElementOrder list")]
    ElementOrder,
    #[error("expected a []interface {{}}, but received a {0}")]
    NoList(&'static str),
    #[error("unknown patch type: {directive} in map: {map}")]
    Directive { directive: String, map: String },
    #[error("map: {map} does not contain declared merge key: {key}")]
    NoMergeKey { map: String, key: String },
    #[error("list element types are not identical: {0}")]
    MixedList(String),
    #[error("merging lists cannot yet be specified in the patch")]
    MergeInList,
    #[error("cannot merge lists without merge key for {0}")]
    UnkeyedList(String),
    #[error("merging an object in json but data type is not struct, instead is: {0}")]
    NotStruct(&'static str),
    #[error("unable to find api field in struct {owner} for the json field {field:?}")]
    UnknownField { owner: String, field: String },
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    OrderMismatch { patch: String, order: String },
}

impl StrategicError {
    pub(super) fn no_merge_key(map: &Value, key: &str) -> Self {
        Self::NoMergeKey { map: go::show(map), key: key.to_owned() }
    }

    /// The refusal that Kubernetes gives: some errors are the client's, the others count as the server's.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::PrimitiveList | Self::RetainKeys | Self::ElementOrder => {
                Status::bad_request(self.to_string())
            }
            Self::ListOfLists => super::rejected(),
            _ => Status::new(500, "", self.to_string()),
        }
    }
}

/// The field that a directive such as `$setElementOrder/containers` is about.
pub(super) fn field_of<'a>(key: &'a str, directive: &str) -> Option<&'a str> {
    key.strip_prefix(directive)?.strip_prefix('/')
}

fn is_directive(key: &str) -> bool {
    matches!(key, PATCH | RETAIN_KEYS)
        || key.starts_with(SET_ELEMENT_ORDER)
        || key.starts_with(DELETE_FROM_PRIMITIVE_LIST)
}

/// A value of the patch that meets nothing in the original: without directives and nulls. `None` for a map with
/// `$patch`, whatever that says: there is nothing to replace or to delete.
pub(super) fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::Object(map) => {
            if map.contains_key(PATCH) {
                return None;
            }
            let fields = map.iter().filter(|(key, value)| !is_directive(key) && !value.is_null());
            let kept: Map<String, Value> =
                fields.filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect();
            Some(Value::Object(kept))
        }
        Value::Array(list) => Some(Value::Array(list.iter().filter_map(plain).collect())),
        other => Some(other.clone()),
    }
}
