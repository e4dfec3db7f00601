//! The schema table: the types of every kind that is served, and what follows from them.
//!
//! `types.txt` holds the facts (fields, types, list semantics, merge keys, what Go's encoding keeps or adds);
//! `table` reads it once; `check` holds an object against its type as Go's decoder does, `complete` gives it
//! the form that Go's encoder gives, `openapi` publishes the table. Never knows a kind's rules.

mod base64;
mod check;
mod complete;
mod openapi;
mod table;

pub use check::DecodeError;
pub use complete::complete;
pub use openapi::{openapi_v2, openapi_v3};
pub use table::{Field, GroupVersionKind, ListType, PatchStrategy, Shape, Table, Type, TypeId, table};

pub(crate) use check::{Notes, Words, check, check_with};

use serde_json::Value;

/// What becomes of unknown and duplicate fields in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Dropped in silence.
    Ignore,
    /// Dropped with a warning each.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

impl FieldValidation {
    /// The value of the query parameter `fieldValidation`; empty means `Warn`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Ignore" => Self::Ignore,
            "" | "Warn" => Self::Warn,
            "Strict" => Self::Strict,
            _ => return None,
        })
    }
}

/// Holds an object that is parsed already against the type `type_name`: wrong types are errors, unknown fields
/// go by `validation` and are dropped, nulls and what Go's `omitempty` would leave out are dropped, times,
/// quantities and base64 get their canonical form. Returns the warnings.
pub fn decode(
    type_name: &str,
    object: &mut Value,
    validation: FieldValidation,
) -> Result<Vec<String>, DecodeError> {
    let notes = check(type_name, object, validation != FieldValidation::Ignore)?;
    notes.settle(validation)
}

#[cfg(test)]
mod tests;
