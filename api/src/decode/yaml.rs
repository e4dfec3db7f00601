//! YAML into `Value`, with the lines of duplicate keys.

use super::{SyntaxError, bounds};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;
use std::cell::RefCell;
use std::fmt;

/// A YAML document.
pub(super) struct Parsed {
    pub(super) value: Value,
    /// All duplicate keys in one message, where there are any.
    pub(super) duplicates: Option<String>,
}

/// Reads one document; an empty one is null.
pub(super) fn parse(body: &[u8]) -> Result<Parsed, SyntaxError> {
    let text = String::from_utf8_lossy(body);
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        // What aliases may repeat is bounded by its size, not by their number.
        budget: serde_saphyr::budget! { enforce_alias_anchor_ratio: false },
    };
    let duplicates = RefCell::new(Vec::new());
    let value = if text.trim().is_empty() {
        Ok(Value::Null)
    } else {
        bounds::check(&text)?;
        serde_saphyr::with_deserializer_from_str_with_options(&text, options, |deserializer| {
            Node(&duplicates).deserialize(deserializer)
        })
    };
    let value = value.map_err(|error| {
        let words = error.to_string();
        let line = words.lines().next().unwrap_or_default();
        SyntaxError(format!("error converting YAML to JSON: yaml: {line}"))
    })?;
    let duplicates = duplicates.into_inner();
    let duplicates =
        (!duplicates.is_empty()).then(|| format!("yaml: unmarshal errors:\n{}", duplicates.join("\n")));
    Ok(Parsed { value, duplicates })
}

/// Any YAML value, in JSON's types; collects the notes on duplicate keys.
#[derive(Clone, Copy)]
struct Node<'a>(&'a RefCell<Vec<String>>);

/// A key, whatever its type, as JSON's text.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let unused = RefCell::new(Vec::new());
        Ok(Key(match Node(&unused).deserialize(deserializer)? {
            Value::String(name) => name,
            Value::Null => "null".to_owned(),
            other => other.to_string(),
        }))
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
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
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("unsupported number"))
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

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = sequence.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<Spanned<Key>>()? {
            let (line, Key(name)) = (key.referenced.line(), key.value);
            let value = entries.next_value_seed(self)?;
            if map.contains_key(&name) {
                let note = format!("  line {line}: key {name:?} already set in map");
                self.0.borrow_mut().push(note);
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}
