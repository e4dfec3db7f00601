//! Objects in Table form (`meta.k8s.io/v1`), which is what `kubectl get` prints.

use crate::kinds::{Column, KindDef};
use serde_json::{Map, Value, json};

/// What a row holds of its object (the query parameter `includeObject`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    None,
    /// A PartialObjectMetadata.
    #[default]
    Metadata,
    Object,
}

impl IncludeObject {
    /// The value of the query parameter; empty means `Metadata`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "None" => Self::None,
            "" | "Metadata" => Self::Metadata,
            "Object" => Self::Object,
            _ => return None,
        })
    }
}

/// A Table of the objects with the columns' definitions. `list_metadata` is the `metadata` of the list that it
/// stands for; for one object it is left out and the object's own version is given.
pub fn render(
    def: &KindDef,
    objects: &[&Value],
    include: IncludeObject,
    now_seconds: i64,
    list_metadata: Option<Value>,
) -> Value {
    let metadata = list_metadata.unwrap_or_else(|| match objects {
        [one] => one
            .pointer("/metadata/resourceVersion")
            .map_or_else(|| json!({}), |version| json!({ "resourceVersion": version })),
        _ => json!({}),
    });
    let columns: Vec<Value> = def.table.columns.iter().map(definition).collect();
    frame(metadata, Value::Array(columns), rows(def, objects, include, now_seconds))
}

/// A Table without the columns' definitions: that of a watch event after the first.
pub fn render_event(def: &KindDef, object: &Value, include: IncludeObject, now_seconds: i64) -> Value {
    let mut table = render(def, &[object], include, now_seconds, None);
    table["columnDefinitions"] = Value::Null;
    table
}

fn frame(metadata: Value, columns: Value, rows: Vec<Value>) -> Value {
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    })
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.kind,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    })
}

fn rows(def: &KindDef, objects: &[&Value], include: IncludeObject, now_seconds: i64) -> Vec<Value> {
    objects
        .iter()
        .map(|object| {
            let mut row = Map::new();
            row.insert("cells".to_owned(), Value::Array((def.table.row)(object, now_seconds)));
            row.insert(
                "object".to_owned(),
                match include {
                    IncludeObject::None => Value::Null,
                    IncludeObject::Metadata => partial(object),
                    IncludeObject::Object => (*object).clone(),
                },
            );
            Value::Object(row)
        })
        .collect()
}

/// An object's metadata as a PartialObjectMetadata.
pub fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Strategy, TableDef};

    struct Plain;
    impl Strategy for Plain {}

    fn cells(object: &Value, now_seconds: i64) -> Vec<Value> {
        vec![object["metadata"]["name"].clone(), json!(now_seconds)]
    }

    const COLUMNS: &[Column] = &[
        Column { name: "Name", kind: "string", format: "name", priority: 0, description: "the name" },
        Column { name: "Age", kind: "string", format: "", priority: 1, description: "" },
    ];

    static DEF: KindDef = KindDef {
        group: "",
        version: "v1",
        kind: "Thing",
        plural: "things",
        singular: "thing",
        short_names: &[],
        categories: &[],
        namespaced: true,
        verbs: &[],
        subresources: &[],
        schema: "",
        table: TableDef { columns: COLUMNS, row: cells },
        selectable: &[],
        strategy: &Plain,
        deprecation: "",
        view: None,
    };

    #[test]
    fn one_object() {
        let object = json!({"metadata": {"name": "a", "resourceVersion": "7"}, "data": 1});
        assert_eq!(
            render(&DEF, &[&object], IncludeObject::Metadata, 5, None),
            json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": "7"},
                "columnDefinitions": [
                    {"name": "Name", "type": "string", "format": "name", "description": "the name", "priority": 0},
                    {"name": "Age", "type": "string", "format": "", "description": "", "priority": 1}],
                "rows": [{"cells": ["a", 5], "object": {"kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a", "resourceVersion": "7"}}}]})
        );
    }

    #[test]
    fn lists_and_events() {
        let object = json!({"metadata": {"name": "a"}});
        let metadata = json!({"resourceVersion": "9", "continue": "x"});
        let list = render(&DEF, &[&object, &object], IncludeObject::None, 5, Some(metadata.clone()));
        assert_eq!((&list["metadata"], list["rows"].as_array().map(Vec::len)), (&metadata, Some(2)));
        assert_eq!(list["rows"][0]["object"], Value::Null);
        let event = render_event(&DEF, &object, IncludeObject::Object, 5);
        assert_eq!((&event["columnDefinitions"], &event["rows"][0]["object"]), (&Value::Null, &object));
        assert_eq!(render(&DEF, &[], IncludeObject::Object, 5, None)["rows"], json!([]));
    }

    #[test]
    fn include_object_values() {
        for (text, wanted) in [
            ("", Some(IncludeObject::Metadata)),
            ("None", Some(IncludeObject::None)),
            ("Object", Some(IncludeObject::Object)),
            ("x", None),
        ] {
            assert_eq!(IncludeObject::parse(text), wanted);
        }
    }
}
