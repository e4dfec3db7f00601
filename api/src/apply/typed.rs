//! Values with what the schema table says of their merging: field sets, path elements, validity of a patch.

use super::set::{FieldSet, field_element, key_element, shown, value_element};
use crate::go;
use crate::schema::{Field, ListType, Shape, Type, table};
use serde_json::{Map, Value};

static UNSET: ListType = ListType::Unset;

/// What a value is and how it merges.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    shape: &'static Shape,
    list: &'static ListType,
}

/// The ways in which values merge.
pub(super) enum Form {
    /// Replaced as a whole.
    Leaf,
    Struct(&'static Type),
    Map(Kind),
    /// A list whose items merge by these keys.
    Keyed(&'static [&'static str], Kind),
    /// A list of values without duplicates.
    Set(Kind),
}

impl Kind {
    /// The object of the type published as `name`.
    pub(super) fn of_type(name: &str) -> Option<Self> {
        table().shape_of(name).map(Self::of_shape)
    }

    fn of_shape(shape: &'static Shape) -> Self {
        Self { shape, list: &UNSET }
    }

    pub(super) fn of_field(field: &'static Field) -> Self {
        Self { shape: &field.shape, list: &field.list }
    }

    pub(super) fn form(self) -> Form {
        match (self.shape, self.list) {
            (Shape::Object(id), list) => {
                let owner = table().get(*id);
                if owner.atomic || *list == ListType::Atomic { Form::Leaf } else { Form::Struct(owner) }
            }
            (Shape::Map(item), list) if *list != ListType::Atomic => Form::Map(Self::of_shape(item)),
            (Shape::List(item), ListType::Map(keys)) => Form::Keyed(keys, Self::of_shape(item)),
            (Shape::List(item), ListType::Set) => Form::Set(Self::of_shape(item)),
            _ => Form::Leaf,
        }
    }

    /// The kind of what is below `name`; none for what the schema does not declare.
    pub(super) fn below(self, name: &str) -> Option<Kind> {
        match self.form() {
            Form::Struct(owner) => owner.field(name).map(Kind::of_field),
            Form::Map(item) => Some(item),
            _ => None,
        }
    }

    /// The path element of a list's item; the error is what Kubernetes says of an item that has none.
    pub(super) fn element_of(self, item: &Value) -> Result<String, String> {
        match self.form() {
            Form::Keyed(keys, item_kind) => {
                let mut found = Map::new();
                for key in keys {
                    let given = item.get(key).filter(|value| !value.is_null()).cloned();
                    let value = given.or_else(|| default_of(item_kind, key)).ok_or_else(|| {
                        format!("associative list with keys has an element that omits key field {key:?}")
                    })?;
                    found.insert((*key).to_owned(), value);
                }
                Ok(key_element(found))
            }
            _ if item.is_array() || item.is_object() => {
                Err("only scalars are supported for associative lists without keys".to_owned())
            }
            _ => Ok(value_element(item)),
        }
    }
}

fn default_of(kind: Kind, key: &str) -> Option<Value> {
    let Form::Struct(owner) = kind.form() else { return None };
    owner.field(key)?.default.map(Value::from)
}

/// The fields that a value sets.
pub(super) fn field_set(value: &Value, kind: Kind) -> FieldSet {
    let mut set = FieldSet::default();
    match (kind.form(), value) {
        (Form::Leaf, _) => set.member = true,
        (Form::Struct(owner), Value::Object(map)) => {
            for (name, value) in map {
                let Some(field) = owner.field(name) else { continue };
                let mut below = field_set(value, Kind::of_field(field));
                below.member |= value.is_null() || value.as_object().is_some_and(Map::is_empty);
                set.attach(field_element(name), below);
            }
        }
        (Form::Map(item), Value::Object(map)) => {
            for (name, value) in map {
                let mut below = field_set(value, item);
                below.member = true;
                set.attach(field_element(name), below);
            }
        }
        (Form::Keyed(_, item) | Form::Set(item), Value::Array(list)) => {
            for value in list {
                let Ok(element) = kind.element_of(value) else { continue };
                let mut below = field_set(value, item);
                below.member = true;
                set.attach(element, below);
            }
        }
        _ => {}
    }
    set
}

/// The set with every declared field of a struct as a member, where something below it is.
pub(super) fn with_named_fields(set: &FieldSet, kind: Option<Kind>) -> FieldSet {
    let mut result = FieldSet::of_member(set.member);
    for (element, child) in set.children() {
        let (below, named) = match (element.strip_prefix("f:"), kind.map(|k| (k, k.form()))) {
            (Some(name), Some((kind, Form::Struct(_)))) => (kind.below(name), kind.below(name).is_some()),
            (Some(name), Some((kind, _))) => (kind.below(name), false),
            (None, Some((_, Form::Keyed(_, item) | Form::Set(item)))) => (Some(item), false),
            _ => (None, false),
        };
        let mut child = with_named_fields(child, below);
        child.member |= named;
        result.attach(element.to_owned(), child);
    }
    result
}

/// What keeps a patch from being an object of its type, each with its path.
pub(super) fn validate(value: &Value, kind: Kind) -> Vec<String> {
    let mut errors = Vec::new();
    check(value, kind, "", &mut errors);
    errors
}

fn check(value: &Value, kind: Kind, path: &str, errors: &mut Vec<String>) {
    let mut fault = |text: String| errors.push(format!("{path}: {text}"));
    match (kind.shape, value) {
        (_, Value::Null) => {}
        (Shape::Object(id), Value::Object(map)) => {
            let owner = table().get(*id);
            for (name, value) in map {
                let path = format!("{path}.{name}");
                match owner.field(name) {
                    Some(field) => check(value, Kind::of_field(field), &path, errors),
                    None => errors.push(format!("{path}: field not declared in schema")),
                }
            }
        }
        (Shape::Map(item), Value::Object(map)) => {
            for (name, value) in map {
                check(value, Kind::of_shape(item), &format!("{path}.{name}"), errors);
            }
        }
        (Shape::List(item), Value::Array(list)) => {
            check_items(list, kind, Kind::of_shape(item), path, errors)
        }
        (Shape::Object(_) | Shape::Map(_), other) => {
            fault(format!("expected map, got &{{{}}}", go::show(other)))
        }
        (Shape::List(_), other) => fault(format!("expected list, got &{{{}}}", go::show(other))),
        (Shape::Int32 | Shape::Int64 | Shape::Double, Value::Number(_)) | (Shape::Bool, Value::Bool(_)) => {}
        (Shape::Int32 | Shape::Int64 | Shape::Double, other) => {
            fault(format!("expected numeric (int or float), got {}", go::type_name(other)));
        }
        (Shape::Bool, other) => fault(format!("expected boolean, got &{{{}}}", go::show(other))),
        (Shape::Quantity | Shape::IntOrString, Value::Array(_) | Value::Object(_)) => {
            fault(format!("expected any scalar, got &{{{}}}", go::show(value)));
        }
        (Shape::Quantity | Shape::IntOrString | Shape::Raw | Shape::Fields, _) | (_, Value::String(_)) => {}
        (_, other) => {
            fault(format!("expected string, got &value.valueUnstructured{{Value:{}}}", go::syntax(other)))
        }
    }
}

fn check_items(list: &[Value], kind: Kind, item: Kind, path: &str, errors: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    for (i, value) in list.iter().enumerate() {
        if matches!(kind.form(), Form::Leaf) {
            check(value, item, &format!("{path}[{i}]"), errors);
            continue;
        }
        match kind.element_of(value) {
            Err(text) => errors.push(format!("{path}: element {i}: {text}")),
            Ok(element) => {
                let place = shown(&element);
                if !seen.insert(element) {
                    errors.push(format!("{path}: duplicate entries for key {place}"));
                }
                check(value, item, &format!("{path}{place}"), errors);
            }
        }
    }
}
