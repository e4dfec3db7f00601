//! Strategic merge patch: a merge patch that merges lists by key where the type says so.

use super::directives::{
    DELETE_FROM_PRIMITIVE_LIST, PATCH, RETAIN_KEYS, SET_ELEMENT_ORDER, StrategicError, field_of, plain,
};
use super::order;
use crate::go;
use crate::schema::{Field, Shape, table};
use crate::status::Status;
use serde_json::{Map, Value};

type Merged<T> = Result<T, StrategicError>;

pub(super) fn apply(current: &Value, patch: &Value, type_name: &str) -> Result<Value, Status> {
    let (Value::Object(original), Value::Object(patch)) = (current, patch) else {
        return Ok(patch.clone());
    };
    let shape = table().shape_of(type_name);
    let merged = merge_map(original.clone(), patch, shape).map_err(|error| error.status())?;
    Ok(Value::Object(merged))
}

/// What the type says of a field: its shape, whether it merges, its merge key.
struct Meta {
    /// Of the field, or of its items when it is a list.
    inner: &'static Shape,
    merge: bool,
    key: Option<&'static str>,
}

fn meta(shape: Option<&'static Shape>, name: &str) -> Merged<Meta> {
    match shape {
        Some(Shape::Object(id)) => {
            let owner = table().get(*id);
            let field = owner.field(name).ok_or_else(|| StrategicError::UnknownField {
                owner: owner.go_name().to_owned(),
                field: name.to_owned(),
            })?;
            Ok(meta_of(field))
        }
        Some(Shape::Map(_)) => Err(StrategicError::NotStruct("map")),
        _ => Err(StrategicError::NotStruct("interface")),
    }
}

fn meta_of(field: &'static Field) -> Meta {
    let inner = match &field.shape {
        Shape::List(item) => item,
        other => other,
    };
    Meta { inner, merge: field.patch.merge, key: field.patch.key }
}

fn merge_map(
    mut original: Map<String, Value>,
    patch: &Map<String, Value>,
    shape: Option<&'static Shape>,
) -> Merged<Map<String, Value>> {
    if let Some(directive) = patch.get(PATCH) {
        return directed_map(directive, patch);
    }
    retain_keys(&mut original, patch)?;
    let ordered = merge_ordered_lists(&mut original, patch, shape)?;
    for (key, value) in patch {
        if key == RETAIN_KEYS || key.starts_with(SET_ELEMENT_ORDER) || ordered.contains(&key.as_str()) {
            continue;
        }
        let deletes = key.starts_with(DELETE_FROM_PRIMITIVE_LIST);
        let name = if deletes {
            field_of(key, DELETE_FROM_PRIMITIVE_LIST).ok_or(StrategicError::PrimitiveList)?
        } else {
            key
        };
        if value.is_null() {
            original.remove(name);
            continue;
        }
        let merged = match (original.remove(name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                Some(Value::Object(merge_map(old, new, Some(meta(shape, name)?.inner))?))
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                Some(Value::Array(merge_list(old, new, &meta(shape, name)?, deletes)?))
            }
            (old, _) if deletes => old,
            (_, new) => plain(new),
        };
        if let Some(merged) = merged {
            original.insert(name.to_owned(), merged);
        }
    }
    Ok(original)
}

fn directed_map(directive: &Value, patch: &Map<String, Value>) -> Merged<Map<String, Value>> {
    match directive.as_str() {
        Some("replace") => {
            let mut replaced = patch.clone();
            replaced.remove(PATCH);
            Ok(replaced)
        }
        Some("delete") => Ok(Map::new()),
        _ => Err(StrategicError::Directive {
            directive: go::show(directive),
            map: go::show(&Value::Object(patch.clone())),
        }),
    }
}

fn retain_keys(original: &mut Map<String, Value>, patch: &Map<String, Value>) -> Merged<()> {
    let Some(list) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(keys) = list else { return Err(StrategicError::RetainKeys) };
    let listed = |name: &str| keys.iter().any(|key| key == name);
    let steers = |name: &str| {
        name == RETAIN_KEYS
            || name.starts_with(DELETE_FROM_PRIMITIVE_LIST)
            || name.starts_with(SET_ELEMENT_ORDER)
    };
    if patch.iter().any(|(name, value)| !value.is_null() && !steers(name) && !listed(name)) {
        return Err(StrategicError::RetainKeys);
    }
    original.retain(|name, _| listed(name));
    Ok(())
}

/// Merges the lists for which the patch gives an order; returns their fields, which are done then.
fn merge_ordered_lists<'p>(
    original: &mut Map<String, Value>,
    patch: &'p Map<String, Value>,
    shape: Option<&'static Shape>,
) -> Merged<Vec<&'p str>> {
    let mut done = Vec::new();
    for (directive, order) in patch.iter().filter(|(key, _)| key.starts_with(SET_ELEMENT_ORDER)) {
        let Value::Array(order) = order else { return Err(StrategicError::NoList(go::type_name(order))) };
        let name = field_of(directive, SET_ELEMENT_ORDER).ok_or(StrategicError::ElementOrder)?;
        let live = list_at(original, name)?;
        let patched = list_at(patch, name)?;
        let meta = meta(shape, name)?;
        order::check(patched.unwrap_or_default(), order, meta.key)?;
        let live: Option<Vec<Value>> = live.map(<[Value]>::to_vec);
        let merged = match (live.clone(), patched) {
            (None, None) => continue,
            (Some(live), None) => live,
            (None, Some(patched)) => match plain(&Value::Array(patched.to_vec())) {
                Some(Value::Array(list)) => list,
                _ => Vec::new(),
            },
            (Some(live), Some(patched)) => merge_list(live, patched, &meta, false)?,
        };
        let (in_patch, live_only) = order::partition(merged, order, meta.key)?;
        let live = live.unwrap_or_default();
        let list = order::interleave(in_patch, live_only, order, &live, meta.key);
        original.insert(name.to_owned(), Value::Array(list));
        done.push(name);
    }
    Ok(done)
}

fn list_at<'a>(map: &'a Map<String, Value>, name: &str) -> Merged<Option<&'a [Value]>> {
    match map.get(name) {
        None => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(other) => Err(StrategicError::NoList(go::type_name(other))),
    }
}

fn merge_list(original: Vec<Value>, patch: &[Value], meta: &Meta, deletes: bool) -> Merged<Vec<Value>> {
    if !meta.merge && !deletes {
        return Ok(patch.to_vec());
    }
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if !has_maps(&original, patch)? {
        if deletes {
            return Ok(original.into_iter().filter(|item| !patch.contains(item)).collect());
        }
        return merge_values(original, patch);
    }
    let Some(key) = meta.key else {
        let name = match meta.inner {
            Shape::Object(id) => table().get(*id).short_name().to_owned(),
            _ => String::new(),
        };
        return Err(StrategicError::UnkeyedList(name));
    };
    let (live, items) = apply_item_directives(original, patch, key)?;
    let mut merged = live.clone();
    for item in &items {
        let wanted = item.get(key).ok_or_else(|| StrategicError::no_merge_key(item, key))?;
        let Value::Object(fields) = item else { continue };
        match merged.iter_mut().find(|other| other.get(key) == Some(wanted)) {
            Some(Value::Object(old)) => *old = merge_map(std::mem::take(old), fields, Some(meta.inner))?,
            _ => merged.extend(plain(item)),
        }
    }
    let (in_patch, live_only) = order::partition(merged, &items, Some(key))?;
    Ok(order::interleave(in_patch, live_only, &items, &live, Some(key)))
}

/// Whether the items are maps; they must all be of one kind.
fn has_maps(original: &[Value], patch: &[Value]) -> Merged<bool> {
    let mut items = original.iter().chain(patch);
    let Some(first) = items.next() else { return Ok(false) };
    if first.is_array() {
        return Err(StrategicError::ListOfLists);
    }
    if items.any(|item| go::type_name(item) != go::type_name(first)) {
        let lists = [original, patch].map(|list| go::show(&Value::from(list.to_vec())));
        return Err(StrategicError::MixedList(format!("[{} {}]", lists[0], lists[1])));
    }
    Ok(first.is_object())
}

fn merge_values(original: Vec<Value>, patch: &[Value]) -> Merged<Vec<Value>> {
    let mut merged: Vec<Value> = Vec::with_capacity(original.len() + patch.len());
    for item in original.iter().chain(patch) {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    let (in_patch, live_only) = order::partition(merged, patch, None)?;
    Ok(order::interleave(in_patch, live_only, patch, &original, None))
}

/// Carries out `$patch` in items; returns the live items and the patch's items that are left.
fn apply_item_directives(
    mut live: Vec<Value>,
    patch: &[Value],
    key: &str,
) -> Merged<(Vec<Value>, Vec<Value>)> {
    let mut items = Vec::with_capacity(patch.len());
    let mut replaces = false;
    for item in patch {
        let Some(directive) = item.get(PATCH) else {
            items.push(item.clone());
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let gone = item.get(key).ok_or_else(|| StrategicError::no_merge_key(item, key))?;
                live.retain(|other| other.get(key) != Some(gone));
            }
            Some("replace") => replaces = true,
            Some("merge") => return Err(StrategicError::MergeInList),
            _ => {
                return Err(StrategicError::Directive {
                    directive: go::show(directive),
                    map: go::show(item),
                });
            }
        }
    }
    Ok(if replaces { (items, Vec::new()) } else { (live, items) })
}
