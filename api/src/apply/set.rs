//! Sets of fields, the `fieldsV1` form of what a manager owns (KEP-555).

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A set of fields as a tree. An element is written as in fieldsV1: `f:NAME`, `k:{KEYS}`, `v:VALUE`, `i:INDEX`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    /// The field itself is in the set, not only what is below it.
    pub(super) member: bool,
    /// Never holds an empty set.
    children: BTreeMap<String, FieldSet>,
}

/// The element of a field or of a map's entry.
pub(super) fn field_element(name: &str) -> String {
    format!("f:{name}")
}

impl FieldSet {
    /// A set that holds at most itself.
    pub(super) fn of_member(member: bool) -> Self {
        Self { member, children: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    pub(super) fn children(&self) -> impl Iterator<Item = (&str, &FieldSet)> {
        self.children.iter().map(|(element, child)| (element.as_str(), child))
    }

    pub(super) fn child(&self, element: &str) -> Option<&FieldSet> {
        self.children.get(element)
    }

    /// Puts `child` below `element`; an empty one leaves no trace.
    pub(super) fn attach(&mut self, element: String, child: FieldSet) {
        if child.is_empty() {
            return;
        }
        match self.children.get_mut(&element) {
            Some(present) => present.extend(child),
            None => {
                self.children.insert(element, child);
            }
        }
    }

    /// Adds the field at a path of plain names.
    pub(super) fn insert(&mut self, path: &[&str]) {
        match path {
            [] => self.member = true,
            [first, rest @ ..] => self.children.entry(field_element(first)).or_default().insert(rest),
        }
    }

    /// Adds what `other` has.
    pub(super) fn extend(&mut self, other: FieldSet) {
        self.member |= other.member;
        if self.children.is_empty() {
            self.children = other.children;
            return;
        }
        for (element, child) in other.children {
            self.attach(element, child);
        }
    }

    /// Takes out what `other` has, path by path.
    pub(super) fn subtract(&mut self, other: &FieldSet) {
        self.member &= !other.member;
        for (element, gone) in &other.children {
            if let Some(child) = self.children.get_mut(element) {
                child.subtract(gone);
                if child.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    /// Takes out what `other` has and all that is below.
    pub(super) fn subtract_below(&mut self, other: &FieldSet) {
        self.member &= !other.member;
        for (element, gone) in &other.children {
            if let Some(child) = self.children.get_mut(element) {
                if !gone.member {
                    child.subtract_below(gone);
                }
                if gone.member || child.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    pub(super) fn union(mut self, other: &FieldSet) -> FieldSet {
        self.extend(other.clone());
        self
    }

    /// What is in `self` and not in `other`, path by path.
    pub(super) fn difference(&self, other: &FieldSet) -> FieldSet {
        let mut left = self.clone();
        left.subtract(other);
        left
    }

    pub(super) fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut result = FieldSet::of_member(self.member && other.member);
        for (element, child) in &self.children {
            if let Some(common) = other.children.get(element) {
                result.attach(element.clone(), child.intersection(common));
            }
        }
        result
    }

    /// The paths of all members, as messages show them: `.spec.containers[name="c"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, path: &str, paths: &mut Vec<String>) {
        if self.member {
            paths.push(path.to_owned());
        }
        for (element, child) in &self.children {
            child.collect(&format!("{path}{}", shown(element)), paths);
        }
    }

    /// The form of fieldsV1.
    pub(super) fn into_fields(self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (element, child) in self.children {
            fields.insert(element, child.into_fields());
        }
        Value::Object(fields)
    }

    /// Reads fieldsV1; `None` when it is not of that form.
    pub(super) fn from_fields(fields: &Value) -> Option<Self> {
        let mut set = FieldSet::default();
        for (element, below) in fields.as_object()? {
            if element == "." {
                set.member = true;
                continue;
            }
            let mut child = FieldSet::from_fields(below)?;
            if child.is_empty() {
                child.member = true;
            }
            set.attach(canonical(element)?, child);
        }
        Some(set)
    }
}

/// An element from outside, with its JSON in our form.
fn canonical(element: &str) -> Option<String> {
    let (prefix, rest) = element.split_once(':')?;
    Some(match prefix {
        "f" => element.to_owned(),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).ok()?;
            key_element(keys)
        }
        "v" => value_element(&serde_json::from_str(rest).ok()?),
        "i" => format!("i:{}", rest.parse::<i64>().ok()?),
        _ => return None,
    })
}

/// The element of an item of a list that merges by keys.
pub(super) fn key_element(keys: Map<String, Value>) -> String {
    format!("k:{}", Value::Object(keys))
}

/// The element of an item of a set.
pub(super) fn value_element(value: &Value) -> String {
    format!("v:{value}")
}

/// An element as messages show it: `.name`, `[name="c"]`, `[="x"]`, `[0]`.
pub(super) fn shown(element: &str) -> String {
    match element.split_once(':').unwrap_or(("f", element)) {
        ("k", keys) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let mut text = String::from("[");
            for (i, (key, value)) in keys.iter().enumerate() {
                let comma = if i > 0 { "," } else { "" };
                let _ = write!(text, "{comma}{key}={value}");
            }
            text.push(']');
            text
        }
        ("v", value) => format!("[={value}]"),
        ("i", index) => format!("[{index}]"),
        (_, name) => format!(".{name}"),
    }
}
