//! What changed between two objects, as field sets.

use super::set::{FieldSet, field_element};
use super::typed::{Form, Kind};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The fields that differ.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

impl Comparison {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Puts what differs below a field; most fields do not differ and cost nothing.
    fn attach_field(&mut self, name: &str, below: Comparison) {
        if !below.is_empty() {
            self.attach(field_element(name), below);
        }
    }

    fn attach(&mut self, element: String, below: Comparison) {
        self.added.attach(element.clone(), below.added);
        self.modified.attach(element.clone(), below.modified);
        self.removed.attach(element, below.removed);
    }

    /// Leaves out what `ignored` has, and all below it.
    pub(super) fn without(mut self, ignored: &FieldSet) -> Self {
        for set in [&mut self.added, &mut self.modified, &mut self.removed] {
            set.subtract_below(ignored);
        }
        self
    }
}

/// Compares two objects of one kind.
pub(super) fn compare(old: &Value, new: &Value, kind: Kind) -> Comparison {
    values(Some(old), Some(new), kind)
}

fn leaf(old: Option<&Value>, new: Option<&Value>) -> Comparison {
    let mut result = Comparison::default();
    match (old, new) {
        (None, _) => result.added.member = true,
        (_, None) => result.removed.member = true,
        (Some(old), Some(new)) => result.modified.member = old != new,
    }
    result
}

/// Null and empty say the same of a map or list, yet are told apart as leaves.
fn blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    }
}

fn values(old: Option<&Value>, new: Option<&Value>, kind: Kind) -> Comparison {
    let form = kind.form();
    if matches!(form, Form::Leaf) || (blank(old) && blank(new)) {
        return leaf(old, new);
    }
    let mut result = match form {
        Form::Keyed(..) | Form::Set(_) => lists(old, new, kind),
        _ => maps(old, new, kind),
    };
    // What came or went as a whole is itself a member.
    result.added.member |= old.is_none();
    result.removed.member |= new.is_none() && old.is_some();
    result
}

fn maps(old: Option<&Value>, new: Option<&Value>, kind: Kind) -> Comparison {
    let empty = Map::new();
    let old = old.and_then(Value::as_object).unwrap_or(&empty);
    let new = new.and_then(Value::as_object).unwrap_or(&empty);
    let mut result = Comparison::default();
    for (name, was) in old {
        if let Some(below) = kind.below(name) {
            result.attach_field(name, values(Some(was), new.get(name), below));
        }
    }
    for (name, is) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        if let Some(below) = kind.below(name) {
            result.attach_field(name, values(None, Some(is), below));
        }
    }
    result
}

/// The items of a list by their element; a live list may have duplicates.
fn indexed(list: Option<&Value>, kind: Kind) -> BTreeMap<String, Vec<&Value>> {
    let mut index: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for item in list.and_then(Value::as_array).into_iter().flatten() {
        if let Ok(element) = kind.element_of(item) {
            index.entry(element).or_default().push(item);
        }
    }
    index
}

fn lists(old: Option<&Value>, new: Option<&Value>, kind: Kind) -> Comparison {
    let (Form::Keyed(_, item) | Form::Set(item)) = kind.form() else { return leaf(old, new) };
    let old = indexed(old, kind);
    let mut new = indexed(new, kind);
    let mut result = Comparison::default();
    for (element, was) in old {
        let is = new.remove(&element).unwrap_or_default();
        let below = match (was.as_slice(), is.as_slice()) {
            ([was], []) => values(Some(was), None, item),
            ([was], [is]) => values(Some(was), Some(is), item),
            (_, []) => leaf(Some(&Value::Null), None),
            (was, is) => {
                let mut below = Comparison::default();
                below.modified.member = was != is;
                below
            }
        };
        result.attach(element, below);
    }
    for (element, is) in new {
        let below = match is.as_slice() {
            [is] => values(None, Some(is), item),
            _ => leaf(None, Some(&Value::Null)),
        };
        result.attach(element, below);
    }
    result
}
