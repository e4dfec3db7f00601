//! JSON into `Value` in one pass that also notes unknown and duplicate fields in the order of the text.

use crate::schema::{Notes, Shape, Type, table};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Where in the text we are: a list on the stack, walked only to word a note.
enum At<'a> {
    Root,
    Name(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    fn path(&self) -> String {
        match self {
            At::Root => String::new(),
            At::Name(At::Root, name) => (*name).to_owned(),
            At::Name(above, name) => format!("{}.{name}", above.path()),
            At::Index(above, index) => format!("{}[{index}]", above.path()),
        }
    }
}

/// A value to be read; `shape` is what it should be, where that is known.
struct Seed<'a> {
    notes: Option<&'a mut Notes>,
    at: &'a At<'a>,
    shape: Option<&'static Shape>,
    /// Duplicate keys count even where the shape is not known.
    everywhere: bool,
}

/// Any JSON value, with its duplicate keys.
pub(super) fn noting(body: &[u8]) -> Result<(Value, Notes), serde_json::Error> {
    let mut notes = Notes::default();
    let value = read(body, |deserializer| {
        notes = Notes::default();
        Seed { notes: Some(&mut notes), at: &At::Root, shape: None, everywhere: true }
            .deserialize(deserializer)
    })?;
    Ok((value, notes))
}

/// Any JSON value.
pub(super) fn untyped(body: &[u8]) -> Result<Value, serde_json::Error> {
    read(body, |deserializer| {
        Seed { notes: None, at: &At::Root, shape: None, everywhere: false }.deserialize(deserializer)
    })
}

/// A JSON value of the type `schema`. Unknown fields are dropped, and noted when `noting`.
pub(super) fn typed(body: &[u8], schema: &str, noting: bool) -> Result<(Value, Notes), serde_json::Error> {
    let mut notes = Notes::default();
    let shape = table().shape_of(schema);
    let value = read(body, |deserializer| {
        notes = Notes::default();
        let notes = noting.then_some(&mut notes);
        Seed { notes, at: &At::Root, shape, everywhere: false }.deserialize(deserializer)
    })?;
    Ok((value, notes))
}

type JsonReader<'a> = serde_json::Deserializer<serde_json::de::SliceRead<'a>>;

/// Go reads ill-formed UTF-8 as U+FFFD; only a body that has some is read twice.
fn read(
    body: &[u8],
    mut value: impl FnMut(&mut JsonReader<'_>) -> Result<Value, serde_json::Error>,
) -> Result<Value, serde_json::Error> {
    let mut once = |body: &[u8]| {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let value = value(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    };
    match once(body) {
        Err(_) if std::str::from_utf8(body).is_err() => once(String::from_utf8_lossy(body).as_bytes()),
        result => result,
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Value, A::Error> {
        let item = match self.shape {
            Some(Shape::List(item)) => Some(&**item),
            _ => None,
        };
        let mut list = Vec::new();
        loop {
            let at = At::Index(self.at, list.len());
            let seed =
                Seed { notes: self.notes.as_deref_mut(), at: &at, shape: item, everywhere: self.everywhere };
            match sequence.next_element_seed(seed)? {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        let table = table();
        let owner: Option<&'static Type> = match self.shape {
            Some(Shape::Object(id)) => Some(table.get(*id)),
            _ => None,
        };
        // Keys of what has no known shape are nobody's fields.
        let counted = self.everywhere || matches!(self.shape, Some(Shape::Object(_) | Shape::Map(_)));
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let at = At::Name(self.at, &name);
            let shape = match (owner, self.shape) {
                (Some(owner), _) => match owner.field(&name) {
                    Some(field) => Some(&field.shape),
                    None => {
                        entries.next_value::<IgnoredAny>()?;
                        if let Some(notes) = &mut self.notes {
                            notes.push(format!("unknown field \"{}\"", at.path()));
                        }
                        continue;
                    }
                },
                (None, Some(Shape::Map(item))) => Some(&**item),
                _ => None,
            };
            let duplicate = counted && map.contains_key(&name);
            let value = entries.next_value_seed(Seed {
                notes: self.notes.as_deref_mut(),
                at: &at,
                shape,
                everywhere: self.everywhere,
            })?;
            if let (true, Some(notes)) = (duplicate, &mut self.notes) {
                notes.push(format!("duplicate field \"{}\"", at.path()));
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}
