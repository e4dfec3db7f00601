//! Holds a parsed object against its type, with the results and the words of Go's JSON decoder.

use super::table::{Field, Shape, Table, Type, table};
use super::{FieldValidation, base64};
use crate::go;
use crate::quantity::Quantity;
use crate::time;
use serde_json::{Map, Value};
use thiserror::Error;

/// More unknown or duplicate fields than this are not reported.
const NOTES_MAX: usize = 100;

/// Why an object does not fit its type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A value of a wrong type or form.
    #[error("{0}")]
    Type(String),
    /// Unknown or duplicate fields, each one message, under `Strict`.
    #[error("strict decoding error: {}", .0.join(", "))]
    Strict(Vec<String>),
}

/// Whose words an error has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Go's JSON decoder, which reads bodies.
    Decoder,
    /// Kubernetes' converter, which turns what a strategic merge patch gives into an object.
    Converter,
}

/// Unknown and duplicate fields, in the order they were met; each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Notes(Vec<String>);

impl Notes {
    pub(crate) fn push(&mut self, note: String) {
        if self.0.len() < NOTES_MAX && !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// Adds what was found later.
    pub(crate) fn append(&mut self, later: Notes) {
        later.0.into_iter().for_each(|note| self.push(note));
    }

    /// Puts `first` before what is there.
    pub(crate) fn prepend(&mut self, first: Option<String>) {
        if let Some(first) = first {
            self.0.insert(0, first);
        }
    }

    /// The warnings, or the error under `Strict`.
    pub(crate) fn settle(self, validation: FieldValidation) -> Result<Vec<String>, DecodeError> {
        match validation {
            FieldValidation::Ignore => Ok(Vec::new()),
            FieldValidation::Warn => Ok(self.0.into_iter().flat_map(one_per_warning).collect()),
            FieldValidation::Strict if self.0.is_empty() => Ok(Vec::new()),
            FieldValidation::Strict => Err(DecodeError::Strict(self.0)),
        }
    }
}

/// Duplicate keys in YAML come as one error of many lines; as warnings each stands alone.
fn one_per_warning(note: String) -> Vec<String> {
    match note.split_once("yaml: unmarshal errors:\n") {
        Some((_, lines)) => lines.lines().map(|line| line.trim().to_owned()).collect(),
        None => vec![note],
    }
}

/// Where in the object a value stands: a list on the stack that is only walked to word an error.
pub(crate) enum Place<'a> {
    Root,
    Field { parent: &'a Place<'a>, owner: &'a Type, name: &'a str },
    Key { parent: &'a Place<'a>, key: &'a str },
    Index { parent: &'a Place<'a>, index: usize },
}

impl<'a> Place<'a> {
    pub(crate) fn parent(&self) -> Option<&Place<'a>> {
        match self {
            Place::Root => None,
            Place::Field { parent, .. } | Place::Key { parent, .. } | Place::Index { parent, .. } => {
                Some(parent)
            }
        }
    }

    /// `spec.containers[0].name`
    pub(crate) fn path(&self) -> String {
        let mut path = self.parent().map(Place::path).unwrap_or_default();
        match self {
            Place::Root => {}
            Place::Field { name: text, .. } | Place::Key { key: text, .. } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(text);
            }
            Place::Index { index, .. } => path.push_str(&format!("[{index}]")),
        }
        path
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        Place::Key { parent: self, key: name }.path()
    }

    /// The names of fields alone, from the root: Go names neither keys nor indices.
    fn fields(&self) -> String {
        let above = self.parent().map(Place::fields).unwrap_or_default();
        match self {
            Place::Field { name, .. } if above.is_empty() => (*name).to_owned(),
            Place::Field { name, .. } => format!("{above}.{name}"),
            _ => above,
        }
    }

    /// The type that holds the nearest field.
    fn owner(&self) -> &str {
        match self {
            Place::Root => "",
            Place::Field { owner, .. } => owner.short_name(),
            Place::Key { parent, .. } | Place::Index { parent, .. } => parent.owner(),
        }
    }
}

/// Go's words for a JSON value that does not fit the type `wanted`.
fn type_error(place: &Place<'_>, got: &str, wanted: &str) -> String {
    match place {
        Place::Root => format!("json: cannot unmarshal {got} into Go value of type {wanted}"),
        _ => format!(
            "json: cannot unmarshal {got} into Go struct field {}.{} of type {wanted}",
            place.owner(),
            place.fields()
        ),
    }
}

struct Checker<'t> {
    table: &'t Table,
    noting: bool,
    words: Words,
    notes: Notes,
    /// The first value of a wrong type; Go goes on and reports it at the end.
    wrong_type: Option<String>,
    /// A time or quantity that does not parse; Go stops there.
    malformed: Option<String>,
}

/// Checks `object` against the type, changes it to canonical form and notes unknown fields when `noting`.
pub(crate) fn check(type_name: &str, object: &mut Value, noting: bool) -> Result<Notes, DecodeError> {
    check_with(type_name, object, noting, Words::Decoder)
}

/// `check` in the words of whom Kubernetes has do it.
pub(crate) fn check_with(
    type_name: &str,
    object: &mut Value,
    noting: bool,
    words: Words,
) -> Result<Notes, DecodeError> {
    let table = table();
    let Some(id) = table.find(type_name) else {
        return Err(DecodeError::Type(format!("no type {type_name:?} is known")));
    };
    let mut checker =
        Checker { table, noting, words, notes: Notes::default(), wrong_type: None, malformed: None };
    if object.is_null() {
        *object = Value::Object(Map::new());
    }
    checker.value(&Place::Root, &Shape::Object(id), None, object);
    match checker.malformed.or(checker.wrong_type) {
        Some(error) => Err(DecodeError::Type(error)),
        None => Ok(checker.notes),
    }
}

impl Checker<'_> {
    fn wrong(&mut self, place: &Place<'_>, value: &Value, shape: &Shape, named: Option<&str>) {
        if self.wrong_type.is_some() {
            return;
        }
        let wanted = self.go_name(shape, named);
        self.wrong_type = Some(match (self.words, value, shape) {
            (Words::Decoder, Value::Number(n), Shape::Int32 | Shape::Int64) => {
                type_error(place, &format!("number {n}"), &wanted)
            }
            (Words::Decoder, _, _) => type_error(place, go::json_kind(value), &wanted),
            (Words::Converter, _, Shape::Object(_)) => {
                format!("cannot restore struct from: {}", go::kind_name(value))
            }
            (Words::Converter, _, Shape::List(_) | Shape::Bytes) => {
                format!("cannot restore slice from {}", go::kind_name(value))
            }
            (Words::Converter, _, Shape::Map(_)) => {
                format!("cannot restore map from {}", go::kind_name(value))
            }
            (Words::Converter, _, _) => format!("cannot convert {} to {wanted}", go::type_name(value)),
        });
    }

    fn object(&mut self, place: &Place<'_>, owner: &Type, map: &mut Map<String, Value>) {
        map.retain(|name, value| {
            let Some(field) = owner.field(name) else {
                if self.noting {
                    self.notes.push(format!("unknown field \"{}\"", place.path_of(name)));
                }
                return false;
            };
            // Go leaves what was there, which is nothing.
            if value.is_null() || self.malformed.is_some() {
                return false;
            }
            let place = Place::Field { parent: place, owner, name: field.name };
            self.value(&place, &field.shape, field.go, value);
            !value.is_null() && keeps(field, value)
        });
    }

    fn value(&mut self, place: &Place<'_>, shape: &Shape, named: Option<&str>, value: &mut Value) {
        match (shape, &mut *value) {
            (Shape::Object(id), Value::Object(map)) => {
                let table = self.table;
                self.object(place, table.get(*id), map);
            }
            (Shape::List(item), Value::Array(list)) => {
                for (index, value) in list.iter_mut().enumerate() {
                    if value.is_null() {
                        *value = zero(item);
                        continue;
                    }
                    self.value(&Place::Index { parent: place, index }, item, named, value);
                }
            }
            (Shape::Map(item), Value::Object(map)) => {
                for (key, value) in map.iter_mut() {
                    if value.is_null() {
                        *value = zero(item);
                        continue;
                    }
                    self.value(&Place::Key { parent: place, key }, item, named, value);
                }
            }
            (Shape::String, Value::String(_))
            | (Shape::Bool, Value::Bool(_))
            | (Shape::Raw | Shape::Fields, _) => {}
            (Shape::Double, Value::Number(_)) => {}
            (Shape::Int32, Value::Number(n)) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {}
            (Shape::Int64, Value::Number(n)) if n.is_i64() => {}
            (Shape::Bytes, Value::String(text)) => match base64::canonical(text) {
                Ok(None) => {}
                Ok(Some(canonical)) => *text = canonical,
                Err(at) if self.wrong_type.is_none() => {
                    self.wrong_type = Some(format!("illegal base64 data at input byte {at}"));
                }
                Err(_) => {}
            },
            (Shape::Time | Shape::MicroTime | Shape::Quantity | Shape::IntOrString, _) => {
                self.parsed(place, shape, value);
            }
            (_, other) => self.wrong(place, other, shape, named),
        }
    }

    /// Values with a form of their own; their errors end the decoding.
    fn parsed(&mut self, place: &Place<'_>, shape: &Shape, value: &mut Value) {
        let place = if self.words == Words::Decoder { place } else { &Place::Root };
        let result = match shape {
            Shape::Quantity => canonical_quantity(value),
            Shape::IntOrString => check_int_or_string(place, value),
            _ => canonical_time(place, shape, value),
        };
        if let Err(error) = result {
            self.malformed.get_or_insert(error);
        }
    }

    /// The type's name in Go.
    fn go_name(&self, shape: &Shape, named: Option<&str>) -> String {
        match (shape, named) {
            (Shape::List(item), _) => format!("[]{}", self.go_name(item, named)),
            (Shape::Object(id), _) => self.table.get(*id).go_name().to_owned(),
            (_, Some(name)) => name.to_owned(),
            (Shape::Map(item), None) => format!("map[string]{}", self.go_name(item, None)),
            (Shape::String, None) => "string".to_owned(),
            (Shape::Int32, None) => "int32".to_owned(),
            (Shape::Int64, None) => "int64".to_owned(),
            (Shape::Double, None) => "float64".to_owned(),
            (Shape::Bool, None) => "bool".to_owned(),
            (Shape::Bytes, None) => "[]uint8".to_owned(),
            (Shape::Time, None) => "v1.Time".to_owned(),
            (Shape::MicroTime, None) => "v1.MicroTime".to_owned(),
            (Shape::Quantity, None) => "resource.Quantity".to_owned(),
            (Shape::IntOrString, None) => "intstr.IntOrString".to_owned(),
            (Shape::Raw, None) => "runtime.RawExtension".to_owned(),
            (Shape::Fields, None) => "v1.FieldsV1".to_owned(),
        }
    }
}

/// Whether Go would write the field: `omitempty` leaves out zeros that are no pointers.
pub(super) fn keeps(field: &Field, value: &Value) -> bool {
    field.pointer || field.always || !is_zero(&field.shape, value)
}

fn is_zero(shape: &Shape, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0) && *shape != Shape::IntOrString,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty() && matches!(shape, Shape::Map(_)),
    }
}

/// What Go has where a null stands in a list or map.
pub(super) fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::String | Shape::Bytes => Value::String(String::new()),
        Shape::Int32 | Shape::Int64 | Shape::Double | Shape::IntOrString => Value::from(0),
        Shape::Bool => Value::Bool(false),
        Shape::Quantity => Value::String("0".to_owned()),
        Shape::Object(_) | Shape::Fields => Value::Object(Map::new()),
        Shape::Time | Shape::MicroTime | Shape::Raw | Shape::List(_) | Shape::Map(_) => Value::Null,
    }
}

fn canonical_quantity(value: &mut Value) -> Result<(), String> {
    let text = match &*value {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let kept = Quantity::rewritten(&text).map_err(|e| e.to_string())?.unwrap_or(text);
    if value.as_str() != Some(&kept) {
        *value = Value::String(kept);
    }
    Ok(())
}

fn check_int_or_string(place: &Place<'_>, value: &Value) -> Result<(), String> {
    match value {
        Value::String(_) => Ok(()),
        Value::Number(n) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => Ok(()),
        Value::Number(n) => Err(type_error(place, &format!("number {n}"), "int32")),
        other => Err(type_error(place, go::json_kind(other), "int32")),
    }
}

fn canonical_time(place: &Place<'_>, shape: &Shape, value: &mut Value) -> Result<(), String> {
    let Value::String(text) = &*value else { return Err(type_error(place, go::json_kind(value), "string")) };
    let canonical = match shape {
        Shape::MicroTime => time::micros(time::parse_micros(text)?),
        _ => time::seconds(time::parse(text)?),
    };
    if canonical.starts_with("0001-01-01T00:00:00") {
        // Go's zero time, which it writes as null.
        *value = Value::Null;
    } else if canonical != *text {
        *value = Value::String(canonical);
    }
    Ok(())
}
