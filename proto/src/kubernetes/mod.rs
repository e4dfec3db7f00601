//! Kubernetes' objects in protobuf (`application/vnd.kubernetes.protobuf`), read into the JSON form that the rest of
//! the API works on.
//!
//! A table of messages drives one decoder; no code is generated. Bytes come from clients: nothing here panics, recurses
//! without a bound or makes much out of little.

mod table;
mod wire;

use serde_json::{Map, Value, json};
use table::{Field, Kind, Message, Shape, message};
use wire::{Reader, Scalar};

/// The content type of such bodies.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The four bytes before the envelope.
const MAGIC: &[u8] = b"k8s\0";
/// No type of Kubernetes nests as deep.
const MAX_DEPTH: usize = 40;
/// A body of 3 MiB could otherwise ask for hundreds of megabytes of empty messages.
const MAX_MESSAGES: usize = 100_000;

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The body does not begin with the magic bytes.
    NotProtobuf,
    /// Cut short, or not well-formed.
    Malformed,
    /// Messages within messages without end, or too many of them.
    TooMuch,
    /// A type that this table does not hold.
    UnknownType { api_version: String, kind: String },
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotProtobuf => f.write_str(
                "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
            ),
            Self::Malformed => f.write_str("the protobuf body is malformed"),
            Self::TooMuch => f.write_str("the protobuf body holds too many messages"),
            Self::UnknownType { api_version, kind } => {
                write!(f, "no kind {kind:?} is registered for version {api_version:?}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads an object with its envelope; `apiVersion` and `kind` are those of the envelope.
pub fn decode(body: &[u8]) -> Result<Value, DecodeError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(DecodeError::NotProtobuf)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), [].as_slice());
    let mut reader = Reader::new(envelope);
    while let Some((number, scalar)) = reader.field()? {
        match (number, scalar) {
            (1, Scalar::Bytes(meta)) => {
                let mut reader = Reader::new(meta);
                while let Some((number, scalar)) = reader.field()? {
                    match (number, scalar) {
                        (1, Scalar::Bytes(text)) => api_version = utf8(text)?,
                        (2, Scalar::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Scalar::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let Some(root) = message(&name_of(&api_version, &kind)) else {
        return Err(DecodeError::UnknownType { api_version, kind });
    };
    let mut object = Map::new();
    let mut decoder = Decoder { messages: 0 };
    decoder.message(root, raw, 0, &mut object)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(object))
}

/// The name in the table: the first label of the group, the version and the kind. Options of requests come under the
/// version of the object that they are about.
fn name_of(api_version: &str, kind: &str) -> String {
    if matches!(kind, "DeleteOptions" | "CreateOptions") {
        return format!("meta/v1.{kind}");
    }
    match api_version.split_once('/') {
        Some((group, version)) => format!("{}/{version}.{kind}", group.split('.').next().unwrap_or_default()),
        None => format!("core/{api_version}.{kind}"),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, DecodeError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::Malformed)
}

struct Decoder {
    messages: usize,
}

impl Decoder {
    /// Adds the fields of a message to `object`. Fields that the table does not know are left out.
    fn message(
        &mut self,
        message: &Message,
        bytes: &[u8],
        depth: usize,
        object: &mut Map<String, Value>,
    ) -> Result<(), DecodeError> {
        self.messages += 1;
        if depth > MAX_DEPTH || self.messages > MAX_MESSAGES {
            return Err(DecodeError::TooMuch);
        }
        let mut reader = Reader::new(bytes);
        while let Some((number, scalar)) = reader.field()? {
            let Some(field) = message.field(number) else { continue };
            match (field.shape, scalar) {
                (Shape::Inline, Scalar::Bytes(bytes)) => {
                    if let Kind::Message(name) = field.kind
                        && let Some(inner) = table::message(name)
                    {
                        self.message(inner, bytes, depth + 1, object)?;
                    }
                }
                (Shape::List, Scalar::Bytes(packed)) if matches!(field.kind, Kind::Integer) => {
                    let mut reader = Reader::new(packed);
                    while let Some(number) = reader.varint()? {
                        push(object, field.name, integer(number));
                    }
                }
                (Shape::List, scalar) => {
                    let value = self.value(field.kind, scalar, depth)?;
                    push(object, field.name, value);
                }
                (Shape::Map, Scalar::Bytes(entry)) => self.entry(field, entry, depth, object)?,
                (Shape::One, scalar) => {
                    let value = self.value(field.kind, scalar, depth)?;
                    if field.counts(&value) {
                        object.insert(field.name.to_owned(), value);
                    }
                }
                (Shape::Inline | Shape::Map, _) => return Err(DecodeError::Malformed),
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        field: &Field,
        bytes: &[u8],
        depth: usize,
        object: &mut Map<String, Value>,
    ) -> Result<(), DecodeError> {
        let (mut key, mut value) = (String::new(), None);
        let mut reader = Reader::new(bytes);
        while let Some((number, scalar)) = reader.field()? {
            match (number, scalar) {
                (1, Scalar::Bytes(text)) => key = utf8(text)?,
                (2, scalar) => value = Some(self.value(field.kind, scalar, depth)?),
                _ => {}
            }
        }
        // An entry without a value has the empty one.
        let value = match value {
            Some(value) => value,
            None => self.value(field.kind, Scalar::Bytes(&[]), depth)?,
        };
        if let Value::Object(map) = object.entry(field.name).or_insert_with(|| json!({})) {
            map.insert(key, value);
        }
        Ok(())
    }

    fn value(&mut self, kind: Kind, scalar: Scalar<'_>, depth: usize) -> Result<Value, DecodeError> {
        Ok(match (kind, scalar) {
            (Kind::Integer, Scalar::Varint(number)) => integer(number),
            (Kind::Bool, Scalar::Varint(number)) => Value::Bool(number != 0),
            (Kind::Double, Scalar::Fixed64(bits)) => json!(f64::from_bits(bits)),
            (Kind::String, Scalar::Bytes(bytes)) => Value::String(utf8(bytes)?),
            (Kind::Bytes, Scalar::Bytes(bytes)) => Value::String(wire::base64(bytes)),
            (Kind::Time { micro }, Scalar::Bytes(bytes)) => time(bytes, micro)?,
            (Kind::Quantity, Scalar::Bytes(bytes)) => only_string(bytes)?,
            (Kind::IntOrString, Scalar::Bytes(bytes)) => int_or_string(bytes)?,
            (Kind::Raw, Scalar::Bytes(bytes)) => raw(bytes)?,
            (Kind::Strings, Scalar::Bytes(bytes)) => strings(bytes)?,
            (Kind::Message(name), Scalar::Bytes(bytes)) => {
                let inner = message(name).ok_or(DecodeError::Malformed)?;
                let mut object = Map::new();
                self.message(inner, bytes, depth + 1, &mut object)?;
                Value::Object(object)
            }
            _ => return Err(DecodeError::Malformed),
        })
    }
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) {
    if let Value::Array(list) = object.entry(name).or_insert_with(|| json!([])) {
        list.push(value);
    }
}

/// Negative numbers are sign-extended to 64 bits.
fn integer(number: u64) -> Value {
    Value::from(number.cast_signed())
}

/// A Timestamp: seconds and nanoseconds; the zero time is null.
fn time(bytes: &[u8], micro: bool) -> Result<Value, DecodeError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut reader = Reader::new(bytes);
    while let Some((number, scalar)) = reader.field()? {
        match (number, scalar) {
            (1, Scalar::Varint(number)) => seconds = number.cast_signed(),
            (2, Scalar::Varint(number)) => nanos = number.cast_signed(),
            _ => {}
        }
    }
    if (seconds, nanos) == (0, 0) {
        return Ok(Value::Null);
    }
    wire::timestamp(seconds, nanos, micro).map(Value::String).ok_or(DecodeError::Malformed)
}

/// A message whose only field is a string.
fn only_string(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut text = String::new();
    while let Some((number, scalar)) = reader.field()? {
        if let (1, Scalar::Bytes(bytes)) = (number, scalar) {
            text = utf8(bytes)?;
        }
    }
    Ok(Value::String(text))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, DecodeError> {
    let (mut is_string, mut number, mut text) = (false, 0, String::new());
    let mut reader = Reader::new(bytes);
    while let Some((field, scalar)) = reader.field()? {
        match (field, scalar) {
            (1, Scalar::Varint(kind)) => is_string = kind == 1,
            (2, Scalar::Varint(value)) => number = value,
            (3, Scalar::Bytes(bytes)) => text = utf8(bytes)?,
            _ => {}
        }
    }
    Ok(if is_string { Value::String(text) } else { integer(number) })
}

/// A message whose only field holds JSON.
fn raw(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut value = Value::Null;
    while let Some((number, scalar)) = reader.field()? {
        if let (1, Scalar::Bytes(bytes)) = (number, scalar) {
            value = serde_json::from_slice(bytes).map_err(|_| DecodeError::Malformed)?;
        }
    }
    Ok(value)
}

/// A message whose only field is a list of strings.
fn strings(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut list = Vec::new();
    while let Some((number, scalar)) = reader.field()? {
        if let (1, Scalar::Bytes(bytes)) = (number, scalar) {
            list.push(Value::String(utf8(bytes)?));
        }
    }
    Ok(Value::Array(list))
}

#[cfg(test)]
mod tests;
