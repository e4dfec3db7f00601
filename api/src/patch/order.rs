//! The order of a merged list: the patch's order for its items, the live order for the rest, interleaved.

use super::directives::{PATCH, StrategicError};
use crate::go;
use serde_json::Value;

/// The place of `item` in `list`, by merge key or, without one, by value.
fn index(list: &[Value], item: &Value, key: Option<&str>) -> Option<usize> {
    match key {
        Some(key) => {
            let wanted = item.get(key)?;
            list.iter().position(|other| other.get(key) == Some(wanted))
        }
        None => list.iter().position(|other| other == item),
    }
}

/// Splits into items that `present` has too, and the others.
pub(super) fn partition(
    list: Vec<Value>,
    present: &[Value],
    key: Option<&str>,
) -> Result<(Vec<Value>, Vec<Value>), StrategicError> {
    if let Some(key) = key {
        for item in list.iter().chain(present) {
            if item.get(key).is_none() {
                return Err(StrategicError::no_merge_key(item, key));
            }
        }
    }
    Ok(list.into_iter().partition(|item| index(present, item, key).is_some()))
}

/// Orders the patch's items by `patch_order` and the others by `live_order`, then merges both as the live order
/// suggests; each keeps its own order.
pub(super) fn interleave(
    mut patch: Vec<Value>,
    mut live_only: Vec<Value>,
    patch_order: &[Value],
    live_order: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let last = usize::MAX;
    patch.sort_by_key(|item| index(patch_order, item, key).unwrap_or(last));
    live_only.sort_by_key(|item| index(live_order, item, key).unwrap_or(last));
    let mut merged = Vec::with_capacity(patch.len() + live_only.len());
    let mut patch = patch.into_iter().peekable();
    let mut live_only = live_only.into_iter().peekable();
    loop {
        let live_first = match (live_only.peek(), patch.peek()) {
            (None, None) => return merged,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(live), Some(patched)) => {
                match (index(live_order, live, key), index(live_order, patched, key)) {
                    (Some(live), Some(patched)) => live < patched,
                    _ => false,
                }
            }
        };
        merged.extend(if live_first { live_only.next() } else { patch.next() });
    }
}

/// Whether the items of the patch stand in the order that `$setElementOrder` gives.
pub(super) fn check(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), StrategicError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut kept = patch.iter().filter(|item| key.is_none() || item.get(PATCH).is_none()).peekable();
    for place in order {
        let same = kept.peek().is_some_and(|item| match key {
            Some(key) => item.get(key).is_some() && item.get(key) == place.get(key),
            None => *item == place,
        });
        if same {
            kept.next();
        }
    }
    if kept.peek().is_some() {
        return Err(StrategicError::OrderMismatch {
            patch: go::show(&Value::from(patch.to_vec())),
            order: go::show(&Value::from(order.to_vec())),
        });
    }
    Ok(())
}
