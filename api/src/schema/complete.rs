//! The form that Go's encoder gives an object: what is empty left out, what Go always writes put in.

use super::check::keeps;
use super::table::{Field, Shape, Table, Type, table};
use serde_json::{Map, Value};

/// Gives `object`, whose types are right, the form that Kubernetes sends: drops nulls and empty values where
/// Go has `omitempty`, adds what Go always writes (`status: {}`, `resources: {}`, null times). Idempotent.
pub fn complete(type_name: &str, object: &mut Value) {
    let table = table();
    if let (Some(id), Value::Object(map)) = (table.find(type_name), object) {
        object_of(table, table.get(id), map);
    }
}

fn object_of(table: &Table, owner: &Type, map: &mut Map<String, Value>) {
    map.retain(|name, value| match owner.field(name) {
        Some(field) => {
            value_of(table, &field.shape, value);
            keeps(field, value) && (field.always || !value.is_null())
        }
        None => true,
    });
    for field in owner.fields.iter().filter(|field| field.always) {
        if map.get(field.name).is_none_or(|value| value.is_null() && !nullable(&field.shape)) {
            map.insert(field.name.to_owned(), empty(table, field));
        }
    }
}

fn value_of(table: &Table, shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Object(id), Value::Object(map)) => object_of(table, table.get(*id), map),
        (Shape::List(item), Value::Array(list)) if has_objects(item) => {
            list.iter_mut().for_each(|value| value_of(table, item, value));
        }
        (Shape::Map(item), Value::Object(map)) if has_objects(item) => {
            map.values_mut().for_each(|value| value_of(table, item, value));
        }
        _ => {}
    }
}

fn has_objects(shape: &Shape) -> bool {
    match shape {
        Shape::Object(_) => true,
        Shape::List(item) | Shape::Map(item) => has_objects(item),
        _ => false,
    }
}

/// Whether Go writes null for its zero.
fn nullable(shape: &Shape) -> bool {
    matches!(
        shape,
        Shape::Time
            | Shape::MicroTime
            | Shape::List(_)
            | Shape::Map(_)
            | Shape::Bytes
            | Shape::Raw
            | Shape::Fields
    )
}

/// What Go writes for a field that is absent.
fn empty(table: &Table, field: &Field) -> Value {
    match &field.shape {
        shape if nullable(shape) => Value::Null,
        Shape::Object(id) => {
            let mut map = Map::new();
            object_of(table, table.get(*id), &mut map);
            Value::Object(map)
        }
        shape => super::check::zero(shape),
    }
}
