//! Patches: JSON patch (RFC 6902), JSON merge patch (RFC 7386) and Kubernetes' strategic merge patch, with
//! Kubernetes' limits and messages.
//!
//! A patch is bytes from outside; what it can cost is bounded by its own size and by the limits here.

mod directives;
mod json;
mod order;
mod strategic;

use crate::decode::{self, Decoded};
use crate::field::{FieldError, Path};
use crate::go;
use crate::schema::{self, DecodeError, FieldValidation, Notes, Words};
use crate::status::Status;
use serde_json::{Map, Value};

pub use json::MAX_OPERATIONS;

/// The patch forms, by their media types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    Json,
    Merge,
    Strategic,
    /// Server-side apply; see `crate::apply`.
    Apply,
}

impl PatchType {
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        Some(match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Self::Json,
            "application/merge-patch+json" => Self::Merge,
            "application/strategic-merge-patch+json" => Self::Strategic,
            "application/apply-patch+yaml" => Self::Apply,
            _ => return None,
        })
    }
}

/// A parsed patch.
#[derive(Clone, Debug)]
pub struct Patch {
    kind: PatchType,
    body: Value,
    notes: Notes,
}

impl Patch {
    /// Reads a patch's body.
    pub fn parse(kind: PatchType, body: &[u8]) -> Result<Self, Status> {
        if kind == PatchType::Apply {
            let (body, duplicates) = decode::parse_yaml_noting(body)
                .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
            let mut notes = Notes::default();
            notes.prepend(duplicates.map(|found| format!("error converting YAML to JSON: {found}")));
            return Ok(Self { kind, body, notes });
        }
        let prefix = if kind == PatchType::Strategic { "" } else { "error decoding patch: " };
        let refused = |why: String| Status::bad_request(format!("{prefix}{why}"));
        let (body, mut notes) = decode::parse_noting(body).map_err(|error| refused(error.0))?;
        let body = match (kind, body) {
            (PatchType::Json, body) => {
                json::check_shape(&body, &mut notes).map_err(refused)?;
                body
            }
            (_, Value::Null) => Value::Object(Map::new()),
            (_, body @ Value::Object(_)) => body,
            (_, other) => {
                let got = go::json_kind(&other);
                return Err(refused(format!(
                    "json: cannot unmarshal {got} into Go value of type map[string]interface {{}}"
                )));
            }
        };
        Ok(Self { kind, body, notes })
    }

    pub fn kind(&self) -> PatchType {
        self.kind
    }

    /// The patch as it was read.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// What is wrong with the text of an apply patch that was read all the same: the warnings, or the refusal
    /// under `Strict`. Kubernetes looks at it after the patch has been applied.
    pub fn settle_notes(&self, validation: FieldValidation) -> Result<Vec<String>, Status> {
        match self.notes.clone().settle(validation) {
            Ok(warnings) => Ok(warnings),
            Err(DecodeError::Strict(notes)) => {
                Err(Status::bad_request(format!("error strict decoding YAML: {}", notes.join(", "))))
            }
            Err(other) => Err(Status::bad_request(other.to_string())),
        }
    }

    /// The object that results, held against its type.
    pub fn apply(
        &self,
        current: &Value,
        type_name: &str,
        validation: FieldValidation,
    ) -> Result<Decoded, Status> {
        let (mut object, words) = self.merged(current, type_name)?;
        let noting = validation != FieldValidation::Ignore;
        let invalid = |error: DecodeError| {
            // Merging once more is cheaper than keeping what almost never is shown.
            let shown = match words {
                Words::Decoder => {
                    self.merged(current, type_name).map_or_else(|e| e.message, |m| m.0.to_string())
                }
                Words::Converter => go::show(&self.body),
            };
            let error = FieldError::invalid(&Path::new("patch"), shown.as_str(), error.to_string());
            Status::invalid("", "", "", &vec![error])
        };
        let found = schema::check_with(type_name, &mut object, noting, words).map_err(invalid)?;
        let mut notes = if noting { self.notes.clone() } else { Notes::default() };
        notes.append(found);
        let warnings = notes.settle(validation).map_err(invalid)?;
        Ok(Decoded { object, warnings })
    }

    fn merged(&self, current: &Value, type_name: &str) -> Result<(Value, Words), Status> {
        match self.kind {
            PatchType::Json => Ok((json_patch(current, &self.body)?, Words::Decoder)),
            PatchType::Merge => Ok((merge_patch(current, &self.body), Words::Decoder)),
            PatchType::Strategic => {
                Ok((strategic_merge_patch(current, &self.body, type_name)?, Words::Converter))
            }
            PatchType::Apply => Err(Status::internal("an apply patch merges by fields, not as a document")),
        }
    }
}

/// The refusal of a patch that cannot be applied; Kubernetes says no more.
fn rejected() -> Status {
    let mut status =
        Status::new(422, "Invalid", "the server rejected our request due to an error in our request");
    status.details = Some(Box::default());
    status
}

/// Applies the operations of a JSON patch; `patch` is an array of operations.
pub fn json_patch(current: &Value, patch: &Value) -> Result<Value, Status> {
    json::apply(current, patch)
}

/// Applies a JSON merge patch (RFC 7386).
pub fn merge_patch(current: &Value, patch: &Value) -> Value {
    let mut result = current.clone();
    merge(&mut result, patch);
    result
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else if let Some(inner) = target.get_mut(key) {
            merge(inner, value);
        } else {
            let mut inner = Value::Null;
            merge(&mut inner, value);
            target.insert(key.clone(), inner);
        }
    }
}

/// Applies a strategic merge patch to an object of the type `type_name`.
pub fn strategic_merge_patch(current: &Value, patch: &Value, type_name: &str) -> Result<Value, Status> {
    strategic::apply(current, patch, type_name)
}

#[cfg(test)]
mod tests;
