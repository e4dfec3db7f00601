//! JSON patch (RFC 6902) within Kubernetes' limits.

use super::rejected;
use crate::go;
use crate::schema::Notes;
use crate::status::Status;
use json_patch::{PatchOperation, patch_unsafe};
use serde::Deserialize;
use serde_json::Value;

/// The most operations that one patch may have.
pub const MAX_OPERATIONS: usize = 10_000;
/// The most bytes that all `copy` operations of a patch may copy together: that of the largest request.
const MAX_COPIED: usize = 3 << 20;

/// Holds a patch against the form of its operations, as Go decodes them: wrong types are errors, unknown
/// fields are noted.
pub(super) fn check_shape(patch: &Value, notes: &mut Notes) -> Result<(), String> {
    let Value::Array(operations) = patch else {
        let got = go::json_kind(patch);
        return Err(format!("json: cannot unmarshal {got} into Go value of type []handlers.jsonPatchOp"));
    };
    for (i, operation) in operations.iter().enumerate() {
        let Value::Object(fields) = operation else {
            let got = go::json_kind(operation);
            return Err(format!("json: cannot unmarshal {got} into Go value of type handlers.jsonPatchOp"));
        };
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("op" | "path" | "from", Value::String(_) | Value::Null) | ("value", _) => {}
                ("op" | "path" | "from", other) => {
                    return Err(format!(
                        "json: cannot unmarshal {} into Go struct field jsonPatchOp.{name} of type string",
                        go::json_kind(other)
                    ));
                }
                _ => notes.push(format!("unknown field \"[{i}].{name}\"")),
            }
        }
    }
    Ok(())
}

pub(super) fn apply(current: &Value, patch: &Value) -> Result<Value, Status> {
    let operations = patch.as_array().map_or(&[][..], Vec::as_slice);
    if operations.len() > MAX_OPERATIONS {
        return Err(Status::too_large(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut result = current.clone();
    let mut copied = 0;
    for operation in operations {
        let operation = PatchOperation::deserialize(operation).map_err(|_| rejected())?;
        if let PatchOperation::Copy(copy) = &operation {
            copied += result.pointer(copy.from.as_str()).map_or(0, size);
            if copied > MAX_COPIED {
                return Err(rejected());
            }
        }
        patch_unsafe(&mut result, std::slice::from_ref(&operation)).map_err(|_| rejected())?;
    }
    Ok(result)
}

/// About as many bytes as the value takes as JSON.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(list) => 2 + list.iter().map(|item| size(item) + 1).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(key, item)| key.len() + 4 + size(item)).sum::<usize>(),
    }
}
