//! The small checks that every other rule is made of.

use super::value::{at, is_empty, text};
use crate::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

/// What a number below zero is answered with.
pub const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

/// Adds an error for each of the messages that a rule of `names` gives.
pub fn each(why: Vec<String>, value: &str, path: &Path, errors: &mut FieldErrors) {
    errors.extend(why.into_iter().map(|why| FieldError::invalid(path, value, why)));
}

/// The field is there and not empty.
pub fn required(object: &Value, field: &str, path: &Path, errors: &mut FieldErrors) -> bool {
    let there = !is_empty(at(object, field));
    if !there {
        errors.push(FieldError::required(&path.child(field), ""));
    }
    there
}

/// The string is one of `allowed`, which the message lists as given.
pub fn one_of(value: &str, allowed: &[&str], path: &Path, errors: &mut FieldErrors) {
    if !allowed.contains(&value) {
        errors.push(FieldError::not_supported(path, value, allowed));
    }
}

/// The string field, where it is set, is one of `allowed`.
pub fn optional_one_of(object: &Value, field: &str, allowed: &[&str], path: &Path, errors: &mut FieldErrors) {
    if !at(object, field).is_null() {
        one_of(text(object, field), allowed, &path.child(field), errors);
    }
}

/// The string field must be set, to one of `allowed`.
pub fn required_one_of(object: &Value, field: &str, allowed: &[&str], path: &Path, errors: &mut FieldErrors) {
    match text(object, field) {
        "" => errors.push(FieldError::required(&path.child(field), "")),
        value => one_of(value, allowed, &path.child(field), errors),
    }
}

/// The number field, where it is set, is not below zero.
pub fn not_negative(object: &Value, field: &str, path: &Path, errors: &mut FieldErrors) {
    if let Some(number) = at(object, field).as_i64().filter(|number| *number < 0) {
        errors.push(FieldError::invalid(&path.child(field), number, NOT_NEGATIVE));
    }
}

/// A path below some folder: relative, and without a way out.
pub fn descending_path(value: &str, path: &Path, errors: &mut FieldErrors) {
    if value.starts_with('/') {
        errors.push(FieldError::invalid(path, value, "must be a relative path"));
    }
    no_backsteps(value, path, errors);
}

/// A path without `..` in it.
pub fn no_backsteps(value: &str, path: &Path, errors: &mut FieldErrors) {
    if value.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(path, value, "must not contain '..'"));
    }
}

/// A path below some folder whose names that begin with `..` are taken.
pub fn file_path(value: &str, path: &Path, errors: &mut FieldErrors) {
    descending_path(value, path, errors);
    if value.starts_with("..") && !value.starts_with("../") {
        errors.push(FieldError::invalid(path, value, "must not start with '..'"));
    }
}
