//! The entries of `metadata.managedFields`: who owns what, by which operation and since when.

use super::set::FieldSet;
use crate::meta;
use serde_json::{Map, Value};

/// More managers of ordinary updates than this are folded into one, the oldest first.
const MAX_UPDATERS: usize = 10;
/// The manager that stands for the folded ones.
const ANCIENT: &str = "ancient-changes";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// One manager's share.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
    /// RFC 3339; empty when unknown.
    pub(super) time: String,
    pub(super) set: FieldSet,
}

impl Entry {
    /// Whether both are the same manager: an applier is one whatever version it applies in.
    pub(super) fn same_manager(&self, other: &Entry) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The manager as conflicts name it.
    pub(super) fn shown(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = match text("operation").as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        let set = match value.get("fieldsV1") {
            Some(fields) => FieldSet::from_fields(fields)?,
            None => FieldSet::default(),
        };
        Some(Self {
            manager: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            set,
        })
    }

    fn write(self) -> Value {
        let mut entry = Map::new();
        let mut put = |field: &str, text: &str| {
            if !text.is_empty() {
                entry.insert(field.to_owned(), Value::String(text.to_owned()));
            }
        };
        put("manager", &self.manager);
        put("operation", self.operation.name());
        put("apiVersion", &self.api_version);
        put("time", &self.time);
        put("subresource", &self.subresource);
        put("fieldsType", "FieldsV1");
        entry.insert("fieldsV1".to_owned(), self.set.into_fields());
        Value::Object(entry)
    }
}

fn entries(object: &Value) -> &[Value] {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The managers of an object; `None` when an entry is malformed.
pub(super) fn read(object: &Value) -> Option<Vec<Entry>> {
    entries(object).iter().map(Entry::read).collect()
}

/// Whether the object asks to forget all managers: one entry without content.
pub(super) fn resets(object: &Value) -> bool {
    matches!(entries(object), [Value::Object(only)] if only.is_empty())
}

/// Takes the managers out of an object.
pub(super) fn strip(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

/// Puts the managers into an object, in Kubernetes' order; none leaves no field.
pub(super) fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.set.is_empty());
    sort(&mut entries);
    strip(object);
    if !entries.is_empty() {
        let list = entries.into_iter().map(Entry::write).collect();
        meta::metadata_mut(object).insert("managedFields".to_owned(), Value::Array(list));
    }
}

fn sort(entries: &mut [Entry]) {
    let key = |e: &Entry| {
        (e.operation, e.time.clone(), e.manager.clone(), e.api_version.clone(), e.subresource.clone())
    };
    if entries.len() > 1 {
        entries.sort_by_cached_key(key);
    }
}

/// Folds the oldest updaters into one per version when there are too many.
pub(super) fn cap(entries: &mut Vec<Entry>) {
    if entries.len() <= MAX_UPDATERS {
        return;
    }
    sort(entries);
    loop {
        let updaters = || entries.iter().enumerate().filter(|(_, e)| e.operation == Operation::Update);
        if updaters().count() <= MAX_UPDATERS {
            return;
        }
        let Some((oldest, _)) = updaters().find(|(_, e)| e.manager != ANCIENT) else { return };
        let mut oldest = entries.remove(oldest);
        oldest.manager = ANCIENT.to_owned();
        oldest.subresource.clear();
        match entries.iter_mut().find(|e| e.same_manager(&oldest)) {
            Some(ancient) => {
                ancient.set = std::mem::take(&mut ancient.set).union(&oldest.set);
                ancient.time = oldest.time;
            }
            None => entries.push(oldest),
        }
        sort(entries);
    }
}
