//! Merging an applied object into the live one, and taking fields out of an object.

use super::set::{FieldSet, field_element};
use super::typed::{Form, Kind};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The live value with what is applied on top.
pub(super) fn merge(live: Value, applied: &Value, kind: Kind) -> Value {
    match (kind.form(), live, applied) {
        (Form::Struct(_) | Form::Map(_), live @ Value::Object(_), Value::Null) => live,
        (Form::Keyed(..) | Form::Set(_), live @ Value::Array(_), Value::Null) => live,
        (Form::Struct(_) | Form::Map(_), Value::Object(live), Value::Object(applied)) => {
            Value::Object(merge_maps(live, applied, kind))
        }
        (Form::Keyed(_, item) | Form::Set(item), Value::Array(live), Value::Array(applied)) => {
            Value::Array(merge_lists(live, applied, kind, item))
        }
        (_, _, applied) => applied.clone(),
    }
}

fn merge_maps(mut live: Map<String, Value>, applied: &Map<String, Value>, kind: Kind) -> Map<String, Value> {
    for (name, value) in applied {
        let merged = match (live.remove(name), kind.below(name)) {
            (Some(old), Some(below)) => merge(old, value, below),
            _ => value.clone(),
        };
        live.insert(name.clone(), merged);
    }
    live
}

/// Keeps the order of the applied list for its items and puts items that only the live list has where they
/// stood between the items that both have.
fn merge_lists(live: Vec<Value>, applied: &[Value], kind: Kind, item: Kind) -> Vec<Value> {
    let element = |value: &Value| kind.element_of(value).unwrap_or_default();
    let mut left: VecDeque<(String, Value)> =
        live.into_iter().map(|value| (element(&value), value)).collect();
    let mut right: VecDeque<(String, &Value)> = applied.iter().map(|value| (element(value), value)).collect();
    let in_applied: BTreeSet<String> = right.iter().map(|(e, _)| e.clone()).collect();
    let live_of: BTreeMap<String, Value> = left.iter().cloned().collect();
    let mut shared: VecDeque<String> =
        right.iter().filter(|(e, _)| live_of.contains_key(e)).map(|(e, _)| e.clone()).collect();
    let mut next_shared = shared.pop_front();
    let mut out = Vec::with_capacity(left.len() + right.len());
    while !left.is_empty() || !right.is_empty() {
        if let (Some((l, _)), Some((r, _))) = (left.front(), right.front())
            && l != r
            && in_applied.contains(l)
            && next_shared.as_ref().is_some_and(|next| next != l)
        {
            // Both have it, but it is not the one whose turn it is.
            left.pop_front();
            continue;
        }
        let take_live = left.front().is_some_and(|(l, _)| !in_applied.contains(l));
        if take_live {
            out.extend(left.pop_front().map(|(_, value)| value));
            continue;
        }
        let Some((r, value)) = right.pop_front() else {
            // What is left in the live list has been merged already.
            left.pop_front();
            continue;
        };
        if left.front().is_some_and(|(l, _)| *l == r) {
            left.pop_front();
        }
        if next_shared.as_ref() == Some(&r) {
            next_shared = shared.pop_front();
        }
        out.push(match live_of.get(&r) {
            Some(old) => merge(old.clone(), value, item),
            None => value.clone(),
        });
    }
    out
}

/// Takes the members of `set` out of the value. What becomes empty becomes null; atomic values stay whole.
pub(super) fn remove(value: &mut Value, set: &FieldSet, kind: Kind) {
    match (kind.form(), &mut *value) {
        (Form::Struct(_) | Form::Map(_), Value::Object(map)) if !map.is_empty() => {
            map.retain(|name, value| {
                let Some(gone) = set.child(&field_element(name)) else { return true };
                if gone.member {
                    return false;
                }
                if let Some(below) = kind.below(name) {
                    remove(value, gone, below);
                }
                true
            });
            if map.is_empty() {
                *value = Value::Null;
            }
        }
        (Form::Keyed(_, item) | Form::Set(item), Value::Array(list)) if !list.is_empty() => {
            list.retain_mut(|value| {
                let element = kind.element_of(value).unwrap_or_default();
                let Some(gone) = set.child(&element) else { return true };
                if gone.member {
                    return false;
                }
                remove(value, gone, item);
                true
            });
            if list.is_empty() {
                *value = Value::Null;
            }
        }
        _ => {}
    }
}
