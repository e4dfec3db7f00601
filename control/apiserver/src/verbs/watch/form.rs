//! The forms of objects in a watch: as they are stored, as a Table, or their metadata alone.

use crate::respond::negotiate::{Accept, Transform};
use crate::respond::table;
use crate::storage::catalog::Served;
use crate::storage::frames::{Type, frame};
use bytes::Bytes;
use keelson_api::table::IncludeObject;
use serde_json::{Value, json};

/// How objects are shown in a stream.
pub struct Form {
    pub accept: Accept,
    pub include: IncludeObject,
    /// Column definitions have been sent.
    pub headed: bool,
}

impl Form {
    /// The frame of an object in another form than the stored one.
    pub fn frame(&mut self, served: &Served, kind: Type, object: &Bytes) -> Option<Bytes> {
        let object = match self.accept.transform {
            Transform::None => object.clone(),
            Transform::Metadata => {
                let object: Value = serde_json::from_slice(object).ok()?;
                Bytes::from(table::partial(&object).to_string())
            }
            Transform::Table => {
                let object: Value = serde_json::from_slice(object).ok()?;
                let first = !std::mem::replace(&mut self.headed, true);
                table::event(served, &object, self.include, first)
            }
        };
        Some(frame(kind.as_str(), &object))
    }

    pub fn bookmark(&self, served: &Served, metadata: Value) -> Value {
        match self.accept.transform {
            Transform::None => {
                json!({"kind": served.def.kind, "apiVersion": served.api_version, "metadata": metadata})
            }
            Transform::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Transform::Table => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "columnDefinitions": null, "rows": [],
            }),
        }
    }
}
