//! The keys and sizes of ConfigMap and Secret data, and when they may not change any more.

use super::value::{at, entries, flag, same};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use serde_json::Value;

/// The most bytes that the values of one ConfigMap or Secret may have together.
const MAX_BYTES: usize = 1024 * 1024;

/// Checks the keys of a data field; `also` may add what is wrong with a key beyond its form.
pub fn keys(
    object: &Value,
    field: &str,
    path: &Path,
    errors: &mut FieldErrors,
    also: impl Fn(&str, &Path, &mut FieldErrors),
) {
    for (key, _) in entries(object, field) {
        for why in names::config_map_key(key) {
            errors.push(FieldError::invalid(&path.key(key), key, why));
        }
        also(key, path, errors);
    }
}

/// The error of a key that stands in two fields.
pub fn duplicate_key(path: &Path, key: &str, other: &str) -> FieldError {
    FieldError::invalid(&path.key(key), key, format!("duplicate of key present in {other}"))
}

/// How many bytes the values of a field have together.
pub fn total_size(object: &Value, field: &str, base64: bool) -> usize {
    entries(object, field)
        .map(|(_, value)| {
            let text = value.as_str().unwrap_or_default();
            if base64 { text.trim_end_matches('=').len() * 3 / 4 } else { text.len() }
        })
        .sum()
}

/// Refuses more than a mebibyte.
pub fn within_limit(total: usize, path: &Path, errors: &mut FieldErrors) {
    if total > MAX_BYTES {
        errors.push(FieldError::too_long(path, MAX_BYTES));
    }
}

/// What an update may not change once `immutable` is set.
pub fn immutable_fields(new: &Value, old: &Value, fields: &[&str]) -> FieldErrors {
    const WHY: &str = "field is immutable when `immutable` is set";
    let mut errors = FieldErrors::new();
    if flag(old, "immutable") {
        if !flag(new, "immutable") {
            errors.push(FieldError::forbidden(&Path::new("immutable"), WHY));
        }
        for field in fields {
            if !same(at(new, field), at(old, field)) {
                errors.push(FieldError::forbidden(&Path::new(field), WHY));
            }
        }
    }
    errors
}
