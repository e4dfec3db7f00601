//! The table of messages, read once from `fields.txt`.

use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

const TEXT: &str = include_str!("fields.txt");

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Integer,
    Bool,
    Double,
    Bytes,
    Time { micro: bool },
    Quantity,
    IntOrString,
    Raw,
    Strings,
    Message(&'static str),
}

/// How often it holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    List,
    /// Keyed by strings.
    Map,
    /// A message whose fields stand in the one around it.
    Inline,
}

#[derive(Debug)]
pub(super) struct Field {
    number: u32,
    pub name: &'static str,
    pub kind: Kind,
    pub shape: Shape,
    /// Zero is a value, not the absence of one.
    zero_counts: bool,
}

impl Field {
    /// Whether JSON would show the value: Go leaves out what is empty, except behind pointers.
    pub(super) fn counts(&self, value: &Value) -> bool {
        match value {
            Value::Null => false,
            _ if self.zero_counts => true,
            Value::Bool(value) => *value,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
        }
    }
}

/// The fields of a message.
#[derive(Debug, Default)]
pub(super) struct Message {
    fields: Vec<Field>,
}

impl Message {
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        // Fields are mostly sent in order and messages are small.
        self.fields.iter().find(|field| field.number == number)
    }
}

static TABLE: LazyLock<HashMap<&'static str, Message>> = LazyLock::new(|| {
    let mut table = HashMap::new();
    let mut current = None;
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            None => {
                table.insert(line, Message::default());
                current = Some(line);
            }
            Some(rest) => {
                if let Some(message) = current.and_then(|name| table.get_mut(name)) {
                    message.fields.extend(parse(rest));
                }
            }
        }
    }
    table
});

/// The message with this name, such as `core/v1.Pod`.
pub(super) fn message(name: &str) -> Option<&'static Message> {
    TABLE.get(name)
}

fn parse(line: &'static str) -> Option<Field> {
    let mut words = line.split(' ');
    let (head, name, kind) = (words.next()?, words.next()?, words.next()?);
    let digits = head.trim_end_matches(['?', '!', '^']);
    let (shape, kind) = match (kind.strip_prefix('*'), kind.strip_prefix('%')) {
        (Some(kind), _) => (Shape::List, kind),
        (_, Some(kind)) => (Shape::Map, kind),
        _ if head.contains('^') => (Shape::Inline, kind),
        _ => (Shape::One, kind),
    };
    let kind = match kind {
        "s" => Kind::String,
        "i" => Kind::Integer,
        "b" => Kind::Bool,
        "d" => Kind::Double,
        "y" => Kind::Bytes,
        "time" => Kind::Time { micro: false },
        "micro" => Kind::Time { micro: true },
        "quantity" => Kind::Quantity,
        "intstr" => Kind::IntOrString,
        "raw" => Kind::Raw,
        "strings" => Kind::Strings,
        message => Kind::Message(message),
    };
    Some(Field { number: digits.parse().ok()?, name, kind, shape, zero_counts: head.contains(['?', '!']) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_understood() {
        let lines = TEXT.lines().filter(|line| line.starts_with("  ")).count();
        assert_eq!(TABLE.values().map(|message| message.fields.len()).sum::<usize>(), lines);
        for (name, message) in TABLE.iter() {
            for field in &message.fields {
                if let Kind::Message(inner) = field.kind {
                    assert!(TABLE.contains_key(inner), "{name}.{} is of an unknown type {inner}", field.name);
                }
            }
        }
    }
}
