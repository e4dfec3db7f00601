//! The schema table as OpenAPI documents: version 3 per group and version, version 2 for all.
//!
//! They hold what clients work with: types, required fields, values, list and patch semantics, kinds, and the
//! paths with their parameters. Descriptions are left out.

mod paths;

use super::table::{Field, ListType, Shape, Table, Type, TypeId, table};
use crate::kinds::KindDef;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Which of the two document forms is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    V2,
    V3,
}

impl Form {
    fn reference(self, name: &str) -> Value {
        match self {
            Form::V2 => json!({ "$ref": format!("#/definitions/{name}") }),
            Form::V3 => json!({ "$ref": format!("#/components/schemas/{name}") }),
        }
    }
}

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const RAW: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const FIELDS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/// The types that are no objects, as definitions of their own.
fn plain(form: Form, name: &str) -> Option<Value> {
    Some(match (name, form) {
        (QUANTITY, Form::V2) => json!({"type": "string"}),
        (QUANTITY, Form::V3) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        (INT_OR_STRING, Form::V2) => json!({"type": "string", "format": "int-or-string"}),
        (INT_OR_STRING, Form::V3) => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        (TIME | MICRO_TIME, _) => json!({"type": "string", "format": "date-time"}),
        (RAW | FIELDS | PATCH, _) => json!({"type": "object"}),
        _ => return None,
    })
}

/// Collects the definitions that a document needs, each with all that it refers to.
struct Definitions {
    form: Form,
    table: &'static Table,
    /// The group and version of the document; none for the one document of version 2.
    scope: Option<(String, String)>,
    done: BTreeSet<String>,
    schemas: Map<String, Value>,
}

impl Definitions {
    fn new(form: Form, scope: Option<(&str, &str)>) -> Self {
        let scope = scope.map(|(group, version)| (group.to_owned(), version.to_owned()));
        Self { form, table: table(), scope, done: BTreeSet::new(), schemas: Map::new() }
    }

    /// Adds the type published as `name`, where there is one.
    fn add(&mut self, name: &str) {
        match (self.table.find(name), plain(self.form, name)) {
            (Some(id), _) => self.add_type(id),
            (None, Some(schema)) => {
                self.schemas.insert(name.to_owned(), schema);
            }
            (None, None) => {}
        }
    }

    fn add_type(&mut self, id: TypeId) {
        let owner = self.table.get(id);
        if !self.done.insert(owner.name.clone()) {
            return;
        }
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!("object"));
        let mut properties = Map::new();
        for field in &owner.fields {
            let schema = self.field(field);
            properties.insert(field.name.to_owned(), schema);
        }
        schema.insert("properties".to_owned(), Value::Object(properties));
        let required: Vec<&str> = owner.fields.iter().filter(|f| f.required).map(|f| f.name).collect();
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        if owner.atomic {
            schema.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
        }
        let kinds = self.kinds_of(owner);
        if !kinds.is_empty() {
            schema.insert("x-kubernetes-group-version-kind".to_owned(), Value::Array(kinds));
        }
        self.schemas.insert(owner.name.clone(), Value::Object(schema));
    }

    fn kinds_of(&self, owner: &Type) -> Vec<Value> {
        let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
        match &self.scope {
            _ if !owner.in_every_group => {
                owner.kinds.iter().map(|k| kind(k.group, k.version, k.kind)).collect()
            }
            Some((group, version)) => vec![kind(group, version, owner.short_name())],
            None => {
                let mut seen = BTreeSet::new();
                let all = self.table.types().flat_map(|t| &t.kinds);
                all.filter(|k| seen.insert((k.group, k.version)))
                    .map(|k| kind(k.group, k.version, owner.short_name()))
                    .collect()
            }
        }
    }

    fn field(&mut self, field: &Field) -> Value {
        let mut schema = self.shape(&field.shape);
        let decorated = match &field.shape {
            Shape::List(_) => &mut schema["items"],
            _ => &mut schema,
        };
        if !field.values.is_empty() {
            decorated["enum"] = json!(field.values);
        }
        if let Some(default) = field.default {
            schema["default"] = json!(default);
        }
        match &field.list {
            ListType::Unset => {}
            ListType::Atomic if matches!(field.shape, Shape::Map(_) | Shape::Object(_)) => {
                schema["x-kubernetes-map-type"] = json!("atomic");
            }
            ListType::Atomic => schema["x-kubernetes-list-type"] = json!("atomic"),
            ListType::Set => schema["x-kubernetes-list-type"] = json!("set"),
            ListType::Map(keys) => {
                schema["x-kubernetes-list-type"] = json!("map");
                schema["x-kubernetes-list-map-keys"] = json!(keys);
            }
        }
        let patch = &field.patch;
        let strategies = [(patch.merge, "merge"), (patch.retain_keys, "retainKeys")];
        let strategies: Vec<&str> = strategies.iter().filter(|s| s.0).map(|s| s.1).collect();
        if !strategies.is_empty() {
            schema["x-kubernetes-patch-strategy"] = json!(strategies.join(","));
        }
        if let Some(key) = patch.key {
            schema["x-kubernetes-patch-merge-key"] = json!(key);
        }
        // In version 3 nothing may stand beside a reference.
        if self.form == Form::V3
            && schema.get("$ref").is_some()
            && schema.as_object().is_some_and(|m| m.len() > 1)
        {
            let reference = schema["$ref"].take();
            if let Some(map) = schema.as_object_mut() {
                map.remove("$ref");
                map.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
            }
        }
        schema
    }

    fn named(&mut self, name: &str) -> Value {
        self.add(name);
        self.form.reference(name)
    }

    fn shape(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::String => json!({"type": "string"}),
            Shape::Int32 => json!({"type": "integer", "format": "int32"}),
            Shape::Int64 => json!({"type": "integer", "format": "int64"}),
            Shape::Double => json!({"type": "number", "format": "double"}),
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Bytes => json!({"type": "string", "format": "byte"}),
            Shape::Time => self.named(TIME),
            Shape::MicroTime => self.named(MICRO_TIME),
            Shape::Quantity => self.named(QUANTITY),
            Shape::IntOrString => self.named(INT_OR_STRING),
            Shape::Raw => self.named(RAW),
            Shape::Fields => self.named(FIELDS),
            Shape::Object(id) => {
                self.add_type(*id);
                self.form.reference(&self.table.get(*id).name)
            }
            Shape::List(item) => json!({"type": "array", "items": self.shape(item)}),
            Shape::Map(item) => json!({"type": "object", "additionalProperties": self.shape(item)}),
        }
    }

    /// The name of the type that is the kind `group`/`version` `kind`.
    fn name_of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&'static str> {
        self.table
            .types()
            .find(|t| t.kinds.iter().any(|k| (k.group, k.version, k.kind) == (group, version, kind)))
            .map(|t| t.name.as_str())
    }
}

/// The document of one group and version in version 3; `None` when none of `kinds` is in it. `version_served`
/// is the version of Kubernetes, such as `v1.36.2`.
pub fn openapi_v3(kinds: &[&KindDef], group: &str, version: &str, version_served: &str) -> Option<Value> {
    let kinds: Vec<_> = kinds.iter().filter(|k| k.group == group && k.version == version).collect();
    if kinds.is_empty() {
        return None;
    }
    let mut definitions = Definitions::new(Form::V3, Some((group, version)));
    let mut paths = Map::new();
    for kind in kinds {
        paths::add(&mut definitions, &mut paths, kind);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version_served},
        "paths": paths,
        "components": {"schemas": definitions.schemas},
    }))
}

/// The document of all kinds in version 2.
pub fn openapi_v2(kinds: &[&KindDef], version_served: &str) -> Value {
    let mut definitions = Definitions::new(Form::V2, None);
    let mut paths = Map::new();
    for kind in kinds {
        paths::add(&mut definitions, &mut paths, kind);
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version_served},
        "paths": paths,
        "definitions": definitions.schemas,
    })
}

#[cfg(test)]
mod tests;
