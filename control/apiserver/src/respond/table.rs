//! The Table and metadata-only forms of objects and lists.

use crate::clock;
use crate::storage::catalog::Served;
use bytes::Bytes;
pub use keelson_api::table::partial;
use keelson_api::table::{self, IncludeObject};
use serde_json::{Value, json};

/// What a Table's rows carry of their object, from the `includeObject` parameter.
pub fn include_object(query: &str) -> IncludeObject {
    crate::request::query::first(query, "includeObject")
        .and_then(|value| IncludeObject::parse(&value))
        .unwrap_or_default()
}

/// Objects as a Table. `metadata` is that of the list.
pub fn render(served: &Served, objects: &[&Value], include: IncludeObject, metadata: Value) -> Value {
    table::render(served.def, objects, include, clock::unix_seconds(), Some(metadata))
}

/// The Table of a watch event: one row; column definitions only in the first of a stream.
pub fn event(served: &Served, object: &Value, include: IncludeObject, first: bool) -> Bytes {
    let now = clock::unix_seconds();
    let table = if first {
        table::render(served.def, &[object], include, now, None)
    } else {
        table::render_event(served.def, object, include, now)
    };
    Bytes::from(table.to_string())
}

/// An item of a PartialObjectMetadataList; like all items of typed lists it has no kind.
pub fn partial_item(object: &Value) -> Value {
    json!({"metadata": object["metadata"]})
}
