//! Event (core/v1): what happened to an object. `event_v1` is the other view of the same stored objects.

use super::{ALL_VERBS, Column, KindDef, Strategy, TableDef, column, row, wide};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::validation::value::{at, dig, has, int, text};
use serde_json::Value;

/// The most characters of a reason, an action and a reporting instance.
const WORD_MAX: usize = 128;
/// The most characters of a message.
const NOTE_MAX: usize = 1024;

pub(super) static COLUMNS: &[Column] = &[
    column("Last Seen"),
    column("Type"),
    column("Reason"),
    column("Object"),
    wide("Subobject"),
    wide("Source"),
    column("Message"),
    wide("First Seen"),
    wide("Count"),
    Column { name: "Name", kind: "string", format: "name", priority: 1, description: "" },
];

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.core.v1.Event",
    table: TableDef { columns: COLUMNS, row: cells },
    selectable: &[
        ("involvedObject.kind", |object| involved(object, "kind")),
        ("involvedObject.namespace", |object| involved(object, "namespace")),
        ("involvedObject.name", |object| involved(object, "name")),
        ("involvedObject.uid", |object| involved(object, "uid")),
        ("involvedObject.apiVersion", |object| involved(object, "apiVersion")),
        ("involvedObject.resourceVersion", |object| involved(object, "resourceVersion")),
        ("involvedObject.fieldPath", |object| involved(object, "fieldPath")),
        ("reason", |object| text(object, "reason").to_owned()),
        ("reportingComponent", |object| text(object, "reportingComponent").to_owned()),
        ("source", |object| {
            let component = text(at(object, "source"), "component");
            if component.is_empty() { text(object, "reportingComponent") } else { component }.to_owned()
        }),
        ("type", |object| text(object, "type").to_owned()),
    ],
    strategy: &Event,
    deprecation: "",
    view: None,
};

fn involved(object: &Value, field: &str) -> String {
    text(at(object, "involvedObject"), field).to_owned()
}

struct Event;

impl Strategy for Event {
    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        common(object, "reportingComponent", &mut errors);
        errors
    }

    fn validate_update(&self, new: &Value, _old: &Value) -> FieldErrors {
        self.validate(new)
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

/// The rules of both views, on the core form. `controller` is the name of the reporting controller's field.
pub(super) fn common(object: &Value, controller: &str, errors: &mut FieldErrors) {
    let namespace = text(at(object, "metadata"), "namespace");
    let about = text(at(object, "involvedObject"), "namespace");
    let is_new = has(object, "eventTime");
    let agrees = match (is_new, about) {
        (true, "") => matches!(namespace, "default" | "kube-system"),
        (true, _) => true,
        (false, "") => matches!(namespace, "" | "default"),
        (false, about) => about == namespace,
    };
    if !agrees {
        let path = Path::new("involvedObject").child("namespace");
        errors.push(FieldError::invalid(&path, about, "does not match event.namespace"));
    }
    if is_new {
        new_style(object, controller, errors);
    }
    for why in names::dns1123_subdomain(namespace) {
        errors.push(FieldError::invalid(&Path::new("namespace"), namespace, why));
    }
}

/// What an event with an `eventTime` must say.
fn new_style(object: &Value, controller: &str, errors: &mut FieldErrors) {
    let who = text(object, "reportingComponent");
    if who.is_empty() {
        errors.push(FieldError::required(&Path::new(controller), ""));
    }
    for why in names::qualified_name(who) {
        errors.push(FieldError::invalid(&Path::new(controller), who, why));
    }
    for field in ["reportingInstance", "action", "reason"] {
        let value = text(object, field);
        if value.is_empty() {
            errors.push(FieldError::required(&Path::new(field), ""));
        }
        at_most(value, WORD_MAX, field, errors);
    }
    at_most(text(object, "message"), NOTE_MAX, "message", errors);
}

fn at_most(value: &str, max: usize, field: &str, errors: &mut FieldErrors) {
    if value.len() > max {
        let why = format!("can have at most {max} characters");
        errors.push(FieldError::invalid(&Path::new(field), "", why));
    }
}

pub(super) fn cells(object: &Value, now: i64) -> Vec<Value> {
    let first = match text(object, "firstTimestamp") {
        "" => text(object, "eventTime"),
        time => time,
    };
    let series = at(object, "series");
    let (last, count) = if series.is_object() {
        (text(series, "lastObservedTime"), int(series, "count").unwrap_or_default())
    } else {
        let last = match text(object, "lastTimestamp") {
            "" => first,
            time => time,
        };
        // An event that stands for itself has no count.
        (last, int(object, "count").filter(|count| *count != 0).unwrap_or(1))
    };
    let about = at(object, "involvedObject");
    let mut target = text(about, "kind").to_lowercase();
    if !text(about, "name").is_empty() {
        target = format!("{target}/{}", text(about, "name"));
    }
    vec![
        row::since(last, now).into(),
        text(object, "type").into(),
        text(object, "reason").into(),
        target.into(),
        text(about, "fieldPath").into(),
        source(object).into(),
        text(object, "message").trim().into(),
        row::since(first, now).into(),
        count.into(),
        row::name(object),
    ]
}

/// Who reported the event, and from where.
fn source(object: &Value) -> String {
    let pick = |old: &str, new: &str| match dig(object, &["source", old]).as_str() {
        Some(value) if !value.is_empty() => value.to_owned(),
        _ => text(object, new).to_owned(),
    };
    let (component, host) = (pick("component", "reportingComponent"), pick("host", "reportingInstance"));
    if host.is_empty() { component } else { format!("{component}, {host}") }
}
