//! Field errors: what validation answers with, in Kubernetes' paths and words.

use serde_json::Value;
use std::fmt;

/// The path of a field in an object, such as `spec.containers[0].name` or `metadata.labels[app]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// The path of a top-level field.
    pub fn new(field: &str) -> Self {
        Self(field.to_owned())
    }

    /// `self.field`; on an empty path just `field`.
    pub fn child(&self, field: &str) -> Self {
        if self.0.is_empty() { Self(field.to_owned()) } else { Self(format!("{}.{field}", self.0)) }
    }

    /// `self[index]`.
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// `self[key]`, for maps.
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("<nil>") } else { f.write_str(&self.0) }
    }
}

/// The kinds of field errors; their names are the `reason` of a Status cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
    TypeInvalid,
    Internal,
}

impl ErrorType {
    /// The `reason` of a Status cause.
    pub fn reason(self) -> &'static str {
        match self {
            ErrorType::NotFound => "FieldValueNotFound",
            ErrorType::Required => "FieldValueRequired",
            ErrorType::Duplicate => "FieldValueDuplicate",
            ErrorType::Invalid => "FieldValueInvalid",
            ErrorType::NotSupported => "FieldValueNotSupported",
            ErrorType::Forbidden => "FieldValueForbidden",
            ErrorType::TooLong => "FieldValueTooLong",
            ErrorType::TooMany => "FieldValueTooMany",
            ErrorType::TypeInvalid => "FieldValueTypeInvalid",
            ErrorType::Internal => "InternalError",
        }
    }

    fn label(self) -> &'static str {
        match self {
            ErrorType::NotFound => "Not found",
            ErrorType::Required => "Required value",
            ErrorType::Duplicate => "Duplicate value",
            ErrorType::Invalid | ErrorType::TypeInvalid => "Invalid value",
            ErrorType::NotSupported => "Unsupported value",
            ErrorType::Forbidden => "Forbidden",
            ErrorType::TooLong => "Too long",
            ErrorType::TooMany => "Too many",
            ErrorType::Internal => "Internal error",
        }
    }

    fn shows_value(self) -> bool {
        !matches!(
            self,
            ErrorType::Required
                | ErrorType::Forbidden
                | ErrorType::TooLong
                | ErrorType::TooMany
                | ErrorType::Internal
        )
    }
}

/// One thing that is wrong with one field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    pub error: ErrorType,
    pub path: Path,
    /// The offending value, shown as JSON (strings quoted).
    pub value: Value,
    /// What is wanted; may be empty.
    pub detail: String,
    /// How the value is written in messages, where that is not its JSON with sorted keys.
    pub shown: Option<String>,
}

/// All that is wrong with an object; empty when it is valid.
pub type FieldErrors = Vec<FieldError>;

impl FieldError {
    fn new(error: ErrorType, path: &Path, value: Value, detail: impl Into<String>) -> Self {
        Self { error, path: path.clone(), value, detail: detail.into(), shown: None }
    }

    pub fn required(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Required, path, Value::Null, detail)
    }

    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Invalid, path, value.into(), detail)
    }

    /// An invalid value that is written in the message as `shown`.
    pub fn shown(path: &Path, shown: String, detail: impl Into<String>) -> Self {
        Self { shown: Some(shown), ..Self::invalid(path, Value::Null, detail) }
    }

    pub fn not_found(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(ErrorType::NotFound, path, value.into(), "")
    }

    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(ErrorType::Duplicate, path, value.into(), "")
    }

    pub fn forbidden(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Forbidden, path, Value::Null, detail)
    }

    /// `supported` is listed as given: sort it where Kubernetes sorts.
    pub fn not_supported(path: &Path, value: impl Into<Value>, supported: &[&str]) -> Self {
        let list = supported.iter().map(|s| format!("\"{s}\"")).collect::<Vec<_>>().join(", ");
        let detail = if supported.is_empty() { String::new() } else { format!("supported values: {list}") };
        Self::new(ErrorType::NotSupported, path, value.into(), detail)
    }

    /// `max` counts bytes.
    pub fn too_long(path: &Path, max: usize) -> Self {
        Self::new(ErrorType::TooLong, path, Value::Null, format!("may not be more than {max} bytes"))
    }

    pub fn too_many(path: &Path, actual: usize, max: usize) -> Self {
        Self::new(ErrorType::TooMany, path, Value::from(actual), format!("must have at most {max} items"))
    }

    /// The message without the path, as in a Status cause.
    pub fn body(&self) -> String {
        let mut text = self.error.label().to_owned();
        if self.error == ErrorType::TooMany {
            text.push_str(&format!(": {}", self.value));
        } else if self.error.shows_value() {
            match &self.shown {
                Some(shown) => text.push_str(&format!(": {shown}")),
                None => text.push_str(&format!(": {}", self.value)),
            }
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}
