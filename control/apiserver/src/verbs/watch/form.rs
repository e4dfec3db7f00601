//! The forms of objects in a watch: as they are stored, as a Table, or their metadata alone.

use crate::respond::negotiate::{Accept, Transform};
use crate::respond::table;
use crate::storage::catalog::Served;
use crate::storage::frames::{Type, frame};
use bytes::Bytes;
use keelson_api::table::IncludeObject;
use serde::Deserialize;
use serde_json::value::RawValue;
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
            Transform::Metadata => partial(served.form.metadata(object))?,
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

/// A PartialObjectMetadata of the metadata that `bytes` begin with. It is copied as it stands, and what follows is not
/// looked at: a garbage collector follows all objects of all kinds in this form.
fn partial(bytes: &[u8]) -> Option<Bytes> {
    let metadata = <&RawValue>::deserialize(&mut serde_json::Deserializer::from_slice(bytes)).ok()?;
    let text =
        format!(r#"{{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":{metadata}}}"#);
    Some(Bytes::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::form::ordered;

    #[test]
    fn metadata_alone() {
        let check = |kind: &str, api_version: &str, object: Value| {
            let stored = ordered(kind, api_version, &object);
            let head = stored.windows(11).position(|bytes| bytes == b"\"metadata\":").unwrap() + 11;
            let got: Value = serde_json::from_slice(&partial(&stored[head..]).unwrap()).unwrap();
            assert_eq!(got, table::partial(&object));
        };
        check(
            "ConfigMap",
            "v1",
            json!({"data": {"metadata": "no"}, "metadata": {"name": "a\"}", "labels": {"x": "\u{1}"}}}),
        );
        let inner = json!({"template": {"metadata": {"name": "inner"}}});
        check("Deployment", "apps/v1", json!({"spec": inner, "metadata": {"name": "outer", "uid": "1"}}));
        check("Lease", "coordination.k8s.io/v1", json!({"metadata": {}}));
        assert_eq!(partial(b"{"), None);
    }
}
