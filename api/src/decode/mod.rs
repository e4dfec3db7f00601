//! Reads the bodies of requests: bytes to a typed object, with every message of Kubernetes' decoders.
//!
//! Untrusted bytes come in here; nothing panics on them. Never decides what a kind allows.

mod bounds;
mod reader;
mod syntax;
mod yaml;

use crate::go;
use crate::schema::{self, DecodeError, FieldValidation};
use crate::status::Status;
use serde_json::{Map, Value};
use thiserror::Error;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Yaml,
}

impl Encoding {
    /// The encoding of a media type such as `application/json; charset=utf-8`; an empty one means JSON.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "" | "application/json" => Some(Self::Json),
            "application/yaml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// The bytes are no JSON or YAML; worded as Go words it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SyntaxError(pub String);

/// A body as a typed object.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub object: Value,
    /// Texts of `Warning: 299` headers.
    pub warnings: Vec<String>,
}

/// What a body must be.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
    /// Its type in the schema table.
    pub schema: &'a str,
}

impl<'a> From<&'a crate::kinds::KindDef> for Target<'a> {
    fn from(def: &'a crate::kinds::KindDef) -> Self {
        Self { group: def.group, version: def.version, kind: def.kind, schema: def.schema }
    }
}

impl Target<'_> {
    fn api_version(&self) -> String {
        api_version(self.group, self.version)
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Untyped JSON; duplicate keys: the last counts.
pub fn parse_json(body: &[u8]) -> Result<Value, SyntaxError> {
    reader::untyped(body).map_err(|error| syntax::go_error(body, &error))
}

/// Untyped JSON with notes on its duplicate keys.
pub(crate) fn parse_noting(body: &[u8]) -> Result<(Value, schema::Notes), SyntaxError> {
    reader::noting(body).map_err(|error| syntax::go_error(body, &error))
}

/// Untyped YAML with all its duplicate keys in one message.
pub(crate) fn parse_yaml_noting(body: &[u8]) -> Result<(Value, Option<String>), SyntaxError> {
    yaml::parse(body).map(|parsed| (parsed.value, parsed.duplicates))
}

/// Untyped YAML (one document); duplicate keys: the last counts.
pub fn parse_yaml(body: &[u8]) -> Result<Value, SyntaxError> {
    yaml::parse(body).map(|parsed| parsed.value)
}

/// A body as an object of the kind `target`, with `apiVersion` and `kind` filled in. Unknown and duplicate
/// fields go by `validation`.
pub fn object(
    body: &[u8],
    encoding: Encoding,
    target: &Target<'_>,
    validation: FieldValidation,
) -> Result<Decoded, Status> {
    let noting = validation != FieldValidation::Ignore;
    let (mut value, notes) = match encoding {
        Encoding::Json => {
            let (value, notes) = reader::typed(body, target.schema, noting).map_err(|error| {
                let error = syntax::go_error(body, &error);
                unrecognized(target, body, &format!("couldn't get version/kind; json parse error: {error}"))
            })?;
            (value, Some(notes))
        }
        Encoding::Yaml => {
            let parsed = yaml::parse(body).map_err(|error| unrecognized(target, body, &error.0))?;
            return yaml_object(parsed, body, target, validation);
        }
    };
    settle_kind(&mut value, body, target)?;
    // Unknown fields were noted in the order of the text; here they are only dropped.
    schema::check(target.schema, &mut value, false).map_err(|error| cannot_handle(target, &error))?;
    let warnings =
        notes.unwrap_or_default().settle(validation).map_err(|error| cannot_handle(target, &error))?;
    Ok(Decoded { object: value, warnings })
}

fn yaml_object(
    parsed: yaml::Parsed,
    body: &[u8],
    target: &Target<'_>,
    validation: FieldValidation,
) -> Result<Decoded, Status> {
    let mut value = parsed.value;
    settle_kind(&mut value, body, target)?;
    let noting = validation != FieldValidation::Ignore;
    let mut notes =
        schema::check(target.schema, &mut value, noting).map_err(|error| cannot_handle(target, &error))?;
    notes.prepend(parsed.duplicates);
    let warnings = notes.settle(validation).map_err(|error| cannot_handle(target, &error))?;
    Ok(Decoded { object: value, warnings })
}

fn cannot_handle(target: &Target<'_>, error: &DecodeError) -> Status {
    refused(target.kind, target.version, target.kind, &error.to_string())
}

fn refused(kind: &str, version: &str, wanted: &str, why: &str) -> Status {
    Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {wanted}: {why}"))
}

fn unrecognized(target: &Target<'_>, body: &[u8], why: &str) -> Status {
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {why} ({})",
        target.kind,
        summary(body)
    ))
}

/// The beginning of a body as messages show it.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    let head = &body[..body.len().min(SHOWN)];
    let mut text = if body[0] == b'{' {
        String::from_utf8_lossy(head).into_owned()
    } else {
        head.iter().map(|b| format!("{b:02x}")).collect()
    };
    if body.len() > SHOWN {
        text.push_str(" ...");
    }
    text
}

/// Reads `apiVersion` and `kind`, refuses what is not `target` and fills in what is absent.
fn settle_kind(value: &mut Value, body: &[u8], target: &Target<'_>) -> Result<(), Status> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    let header = |why: String| {
        unrecognized(target, body, &format!("couldn't get version/kind; json parse error: json: {why}"))
    };
    let Value::Object(map) = value else {
        return Err(header(format!(
            "cannot unmarshal {} into Go value of type struct {{ APIVersion string \
             \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
            go::json_kind(value)
        )));
    };
    let text = |field: &str| match map.get(field) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(header(format!(
            "cannot unmarshal {} into Go struct field .{field} of type string",
            go::json_kind(other)
        ))),
    };
    let (given_version, given_kind) = (text("apiVersion")?, text("kind")?);
    let (group, version) = match given_version.split_once('/') {
        _ if given_version.is_empty() => (target.group, target.version),
        None => ("", given_version),
        Some((_, rest)) if rest.contains('/') => {
            return Err(unrecognized(
                target,
                body,
                &format!("unexpected GroupVersion string: {given_version}"),
            ));
        }
        Some(("", version)) => ("", version),
        Some((group, version)) => (group, version),
    };
    let kind = if given_kind.is_empty() { target.kind } else { given_kind };
    if (group, version, kind) != (target.group, target.version, target.kind) {
        return Err(wrong_kind(group, version, kind, target));
    }
    map.insert("apiVersion".to_owned(), Value::String(target.api_version()));
    map.insert("kind".to_owned(), Value::String(target.kind.to_owned()));
    Ok(())
}

fn wrong_kind(group: &str, version: &str, kind: &str, target: &Target<'_>) -> Status {
    let known = schema::table().has_kind(group, version, kind);
    if !known {
        let why = format!(
            "no kind {kind:?} is registered for version {:?} in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
            api_version(group, version)
        );
        return refused(kind, version, target.kind, &why);
    }
    if kind == target.kind && group == target.group {
        return Status::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            api_version(group, version),
            target.api_version()
        ));
    }
    let package = match target.group.split('.').next().unwrap_or_default() {
        "" => "core",
        first => first,
    };
    let why = format!("converting ({version}.{kind}) to ({package}.{}): unknown conversion", target.kind);
    refused(kind, version, target.kind, &why)
}

#[cfg(test)]
mod tests;
