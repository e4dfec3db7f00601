//! Objects and their parts as Kubernetes shows them in messages: the structs of its server written as JSON, every field
//! in the struct's order. Which field stands where is a table, `go_types.txt`.

use super::value::at;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

struct Field {
    shown: &'static str,
    name: &'static str,
    form: Form,
    /// Left out when empty (types that have their JSON names in Kubernetes).
    optional: bool,
}

enum Form {
    Text,
    Number,
    Flag,
    Pointer,
    Plain,
    Map,
    List(&'static str),
    Object { kind: &'static str, always: bool },
    Inline(&'static str),
}

static TYPES: LazyLock<BTreeMap<&'static str, Vec<Field>>> =
    LazyLock::new(|| read(include_str!("go_types.txt")));

fn read(table: &'static str) -> BTreeMap<&'static str, Vec<Field>> {
    let mut types = BTreeMap::new();
    let mut kind = "";
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let Some(field) = line.strip_prefix(' ') else {
            kind = line;
            continue;
        };
        let fields: &mut Vec<Field> = types.entry(kind).or_default();
        let mut words = field.split(' ');
        let (shown, name, form) = (words.next(), words.next(), words.next());
        let (shown, name) = (shown.unwrap_or_default(), name.unwrap_or_default());
        let form = match form {
            None => Form::Inline(shown.trim_start_matches('+')),
            Some("str") => Form::Text,
            Some("int") => Form::Number,
            Some("bool") => Form::Flag,
            Some("ptr") => Form::Pointer,
            Some("strs") => Form::Plain,
            Some("map") => Form::Map,
            Some(other) => match (other.strip_prefix('['), other.strip_prefix('*')) {
                (Some(element), _) => Form::List(element.trim_end_matches(']')),
                (_, Some(kind)) => Form::Object { kind, always: false },
                _ => Form::Object { kind: other, always: true },
            },
        };
        let optional = shown.starts_with('?');
        fields.push(Field { shown: shown.trim_start_matches('?'), name, form, optional });
    }
    types
}

/// The value in one line, as the messages of field errors have it.
pub fn compact(kind: &str, value: &Value) -> String {
    let mut out = String::new();
    Writer { out: &mut out, indent: None }.object(kind, value, 0);
    out
}

/// The value over many lines, indented by single spaces.
pub fn lines(kind: &str, value: &Value) -> String {
    let mut out = String::new();
    Writer { out: &mut out, indent: Some(1) }.object(kind, value, 0);
    out
}

struct Writer<'a> {
    out: &'a mut String,
    indent: Option<usize>,
}

impl Writer<'_> {
    fn line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn colon(&mut self) {
        self.out.push_str(if self.indent.is_some() { ": " } else { ":" });
    }

    /// Text as Go's encoder writes it, which spares HTML's characters.
    fn plain(&mut self, value: &Value) {
        let text = value.to_string();
        if !value.is_string() {
            self.out.push_str(&text);
            return;
        }
        for c in text.chars() {
            match c {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    // Writing to a string cannot fail.
                    let _ = write!(self.out, "\\u{:04x}", u32::from(c));
                }
                c => self.out.push(c),
            }
        }
    }

    fn object(&mut self, kind: &str, value: &Value, depth: usize) {
        self.out.push('{');
        let mut first = true;
        self.fields(kind, value, depth + 1, &mut first);
        if !first {
            self.line(depth);
        }
        self.out.push('}');
    }

    fn fields(&mut self, kind: &str, value: &Value, depth: usize, first: &mut bool) {
        for field in TYPES.get(kind).into_iter().flatten() {
            if let Form::Inline(kind) = field.form {
                self.fields(kind, value, depth, first);
                continue;
            }
            let inner = at(value, field.name);
            if field.optional && super::value::is_empty(inner) {
                continue;
            }
            if !std::mem::replace(first, false) {
                self.out.push(',');
            }
            self.line(depth);
            let _ = write!(self.out, "\"{}\"", field.shown);
            self.colon();
            self.value(&field.form, inner, depth);
        }
    }

    fn value(&mut self, form: &Form, value: &Value, depth: usize) {
        match form {
            Form::Text if value.is_null() => self.out.push_str("\"\""),
            Form::Number if value.is_null() => self.out.push('0'),
            Form::Flag if value.is_null() => self.out.push_str("false"),
            Form::Text | Form::Number | Form::Flag => self.plain(value),
            Form::Object { kind, always } if *always || value.is_object() => self.object(kind, value, depth),
            Form::List(kind) => {
                let elements = value.as_array().map(Vec::as_slice).unwrap_or_default();
                self.list(elements, depth, |writer, element, depth| writer.object(kind, element, depth));
            }
            Form::Plain => {
                let elements = value.as_array().map(Vec::as_slice).unwrap_or_default();
                self.list(elements, depth, |writer, element, _| writer.plain(element));
            }
            Form::Map => self.map(value, depth),
            Form::Pointer => match value {
                Value::Object(_) => self.map(value, depth),
                other => self.plain(other),
            },
            Form::Object { .. } | Form::Inline(_) => self.out.push_str("null"),
        }
    }

    fn list(&mut self, list: &[Value], depth: usize, mut each: impl FnMut(&mut Self, &Value, usize)) {
        if list.is_empty() {
            self.out.push_str("null");
            return;
        }
        self.out.push('[');
        for (index, element) in list.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.line(depth + 1);
            each(self, element, depth + 1);
        }
        self.line(depth);
        self.out.push(']');
    }

    fn map(&mut self, value: &Value, depth: usize) {
        let Some(map) = value.as_object().filter(|map| !map.is_empty()) else {
            self.out.push_str("null");
            return;
        };
        self.out.push('{');
        for (index, (key, value)) in map.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.line(depth + 1);
            self.plain(&Value::from(key.as_str()));
            self.colon();
            self.plain(value);
        }
        self.line(depth);
        self.out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_type_is_known() {
        for (kind, fields) in TYPES.iter() {
            for field in fields {
                let name = match field.form {
                    Form::List(name) | Form::Inline(name) | Form::Object { kind: name, .. } => name,
                    _ => continue,
                };
                // "Any" stands for volumes whose parts are not shown.
                assert!(name == "Any" || TYPES.contains_key(name), "{kind}: {name}");
            }
        }
    }

    #[test]
    fn shows_structs() {
        assert_eq!(
            compact("KeyToPath", &json!({"key": "<a>"})),
            r#"{"Key":"\u003ca\u003e","Path":"","Mode":null}"#
        );
        assert_eq!(
            lines("Capabilities", &json!({"add": ["A", "B"]})),
            "{\n \"Add\": [\n  \"A\",\n  \"B\"\n ],\n \"Drop\": null\n}"
        );
    }
}
