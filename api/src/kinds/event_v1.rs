//! Event (events.k8s.io/v1): the newer view of events, which are stored in the form of core/v1.

use super::{ALL_VERBS, KindDef, Strategy, TableDef, View, event};
use crate::field::{FieldError, FieldErrors, Path};
use crate::validation::value::{at, has, int, is_empty, remove, same, set, text};
use serde_json::Value;

pub(super) static KIND: KindDef = KindDef {
    group: "events.k8s.io",
    version: "v1",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.events.v1.Event",
    table: TableDef { columns: event::COLUMNS, row: |object, now| event::cells(&stored(object), now) },
    selectable: &[
        ("regarding.kind", |object| regarding(object, "kind")),
        ("regarding.namespace", |object| regarding(object, "namespace")),
        ("regarding.name", |object| regarding(object, "name")),
        ("regarding.uid", |object| regarding(object, "uid")),
        ("regarding.apiVersion", |object| regarding(object, "apiVersion")),
        ("regarding.resourceVersion", |object| regarding(object, "resourceVersion")),
        ("regarding.fieldPath", |object| regarding(object, "fieldPath")),
        ("reason", |object| text(object, "reason").to_owned()),
        ("reportingController", |object| text(object, "reportingController").to_owned()),
        ("type", |object| text(object, "type").to_owned()),
    ],
    strategy: &EventV1,
    deprecation: "",
    view: Some(View { of: &event::KIND, to_stored, from_stored }),
};

/// The fields that the two forms name differently: here, and in core/v1.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

fn rename(object: &mut Value, pairs: impl Iterator<Item = (&'static str, &'static str)>) {
    for (from, to) in pairs {
        if let Some(value) = remove(object, from) {
            set(object, to, value);
        }
    }
}

fn to_stored(object: &mut Value) {
    rename(object, NAMES.into_iter());
    set(object, "apiVersion", "v1");
}

fn from_stored(object: &mut Value) {
    rename(object, NAMES.into_iter().map(|(here, core)| (core, here)));
    set(object, "apiVersion", "events.k8s.io/v1");
}

fn stored(object: &Value) -> Value {
    let mut object = object.clone();
    to_stored(&mut object);
    object
}

fn regarding(object: &Value, field: &str) -> String {
    text(at(object, "regarding"), field).to_owned()
}

struct EventV1;

impl Strategy for EventV1 {
    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        event::common(&stored(object), "reportingController", &mut errors);
        if !has(object, "eventTime") {
            errors.push(FieldError::required(&Path::new("eventTime"), ""));
        }
        series(object, &mut errors);
        let kind = text(object, "type");
        if !matches!(kind, "Normal" | "Warning") {
            errors.push(FieldError::invalid(&Path::new("type"), "", format!("has invalid value: {kind}")));
        }
        for (here, shown) in [
            ("deprecatedFirstTimestamp", "firstTimestamp"),
            ("deprecatedLastTimestamp", "lastTimestamp"),
            ("deprecatedCount", "count"),
            ("deprecatedSource", "source"),
        ] {
            if !is_empty(at(object, here)) {
                errors.push(FieldError::invalid(&Path::new(shown), "", "needs to be unset"));
            }
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        event::common(&stored(new), "reportingController", &mut errors);
        let fixed = [
            ("regarding", "involvedObject"),
            ("reason", "reason"),
            ("note", "message"),
            ("type", "type"),
            ("deprecatedSource", "source"),
            ("deprecatedFirstTimestamp", "firstTimestamp"),
            ("deprecatedLastTimestamp", "lastTimestamp"),
            ("deprecatedCount", "count"),
            ("eventTime", "eventTime"),
            ("action", "action"),
            ("related", "related"),
            ("reportingController", "reportingController"),
            ("reportingInstance", "reportingInstance"),
        ];
        for (field, shown) in fixed {
            let value = at(new, field);
            if !same(value, at(old, field)) {
                errors.push(FieldError::invalid(&Path::new(shown), value.clone(), "field is immutable"));
            }
        }
        series(new, &mut errors);
        errors
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

fn series(object: &Value, errors: &mut FieldErrors) {
    let series = at(object, "series");
    if !series.is_object() {
        return;
    }
    let path = Path::new("series");
    if int(series, "count").unwrap_or_default() < 2 {
        errors.push(FieldError::invalid(&path.child("count"), "", "should be at least 2"));
    }
    if !has(series, "lastObservedTime") {
        errors.push(FieldError::required(&path.child("lastObservedTime"), ""));
    }
}
