//! The stored form of an object: JSON whose first bytes are the same for every object of a kind, with the
//! resourceVersion at a fixed place:
//! `{"kind":"K","apiVersion":"V","metadata":{"resourceVersion":"N",...},...}`.
//!
//! So a reply of one object is the stored bytes; an item of a list, which carries no kind, is `{` and the bytes
//! after the constant start; and a version is read or replaced without parsing. Nothing here reads a clock or
//! makes names.

use bytes::Bytes;
use keelson_api::kinds::KindDef;
use keelson_store::{Stored, Template};
use serde_json::Value;
use std::io::Write;

const VERSION: &[u8] = b"\"metadata\":{\"resourceVersion\":\"";

/// The constant start of a kind's stored objects.
pub struct Form {
    /// `{"kind":"K","apiVersion":"V",`
    head: Vec<u8>,
}

impl Form {
    pub fn new(def: &KindDef) -> Self {
        Self { head: head(def.kind, &api_version(def.group, def.version)) }
    }

    /// An object ready for the store, with an empty resourceVersion.
    pub fn template(&self, object: &Value) -> Template {
        let mut json = Vec::with_capacity(1024);
        json.extend_from_slice(&self.head);
        json.extend_from_slice(VERSION);
        let version_at = json.len();
        json.push(b'"');
        finish(&mut json, object, false);
        Template { json, version_at }
    }

    /// An object as a reply that is not stored (a dry run): with its resourceVersion if it has one.
    pub fn unstored(&self, object: &Value) -> Bytes {
        let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !version.is_empty() {
            let template = self.template(object);
            return splice(&template.json, template.version_at, template.version_at, version.as_bytes());
        }
        let mut json = Vec::with_capacity(1024);
        json.extend_from_slice(&self.head);
        json.extend_from_slice(b"\"metadata\":{");
        finish(&mut json, object, true);
        Bytes::from(json)
    }

    /// The part of a stored object that follows `{` in a list.
    pub fn item(&self, stored: &Bytes) -> Bytes {
        stored.slice(self.head.len().min(stored.len())..)
    }

    /// Whether writing `template` over `stored` would change nothing but the resourceVersion.
    pub fn unchanged(&self, template: &Template, stored: &Bytes) -> bool {
        let Some(end) = self.version_end(stored) else { return false };
        stored[..template.version_at] == template.json[..template.version_at]
            && stored[end..] == template.json[template.version_at..]
    }

    /// The stored object with another resourceVersion.
    pub fn with_version(&self, stored: &Bytes, revision: u64) -> Bytes {
        match self.version_end(stored) {
            Some(end) => {
                splice(stored, self.head.len() + VERSION.len(), end, revision.to_string().as_bytes())
            }
            None => stored.clone(),
        }
    }

    /// Bytes from which the `metadata` object can be parsed alone.
    pub fn metadata<'a>(&self, stored: &'a [u8]) -> &'a [u8] {
        stored.get(self.head.len() + b"\"metadata\":".len()..).unwrap_or_default()
    }

    fn version_end(&self, stored: &[u8]) -> Option<usize> {
        let start = self.head.len() + VERSION.len();
        let digits = stored.get(start..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        Some(start + digits)
    }
}

/// `v1` or `apps/v1`.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Any object in the order of the stored form (kind, apiVersion, metadata, the rest), for kinds that are not
/// stored.
pub fn ordered(kind: &str, api_version: &str, object: &Value) -> Bytes {
    Form { head: head(kind, api_version) }.unstored(object)
}

fn head(kind: &str, api_version: &str) -> Vec<u8> {
    format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",").into_bytes()
}

fn splice(bytes: &[u8], from: usize, to: usize, insert: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(bytes.len() + insert.len());
    out.extend_from_slice(&bytes[..from]);
    out.extend_from_slice(insert);
    out.extend_from_slice(&bytes[to..]);
    Bytes::from(out)
}

/// Writes the rest of metadata and of the object. `first` when nothing stands in metadata yet.
fn finish(json: &mut Vec<u8>, object: &Value, mut first: bool) {
    let empty = serde_json::Map::new();
    for (key, value) in object["metadata"].as_object().unwrap_or(&empty) {
        if key != "resourceVersion" {
            if !first {
                json.push(b',');
            }
            first = false;
            member(json, key, value);
        }
    }
    json.push(b'}');
    for (key, value) in object.as_object().unwrap_or(&empty) {
        if !matches!(key.as_str(), "kind" | "apiVersion" | "metadata") {
            json.push(b',');
            member(json, key, value);
        }
    }
    json.push(b'}');
}

fn member(json: &mut Vec<u8>, key: &str, value: &Value) {
    string(json, key);
    json.push(b':');
    // Writing a Value into memory cannot fail: its keys are strings and a Vec takes every byte.
    let written = serde_json::to_writer(&mut *json, value);
    debug_assert!(written.is_ok());
}

fn string(json: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        let written = write!(json, "\"{text}\"");
        debug_assert!(written.is_ok());
    } else {
        let written = serde_json::to_writer(&mut *json, text);
        debug_assert!(written.is_ok());
    }
}

/// Parses a stored object; the error is one of the store, not of a client.
pub fn parse(stored: &Stored) -> Result<Value, keelson_api::status::Status> {
    serde_json::from_slice(&stored.bytes).map_err(keelson_api::status::Status::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn form() -> Form {
        Form { head: head("ConfigMap", "v1") }
    }

    fn stored(object: &Value, revision: u64) -> Bytes {
        let template = form().template(object);
        splice(&template.json, template.version_at, template.version_at, revision.to_string().as_bytes())
    }

    #[test]
    fn keeps_the_object() {
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {"name": "a", "resourceVersion": "3", "labels": {"x/y": "\"1\""}}, "data": {"k": "v"}});
        let bytes = stored(&object, 3);
        assert!(bytes.starts_with(
            b"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"3\","
        ));
        assert_eq!(serde_json::from_slice::<Value>(&bytes).expect("valid"), object);
        assert_eq!(serde_json::from_slice::<Value>(&form().unstored(&object)).expect("valid"), object);
        let mut item = b"{".to_vec();
        item.extend_from_slice(&form().item(&bytes));
        let item: Value = serde_json::from_slice(&item).expect("valid");
        assert_eq!(item, json!({"metadata": object["metadata"], "data": {"k": "v"}}));
    }

    #[test]
    fn no_version_in_a_dry_run_create() {
        let bytes = form().unstored(&json!({"metadata": {"name": "a"}}));
        assert_eq!(
            &bytes[..],
            b"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}"
        );
        let bytes = form().unstored(&json!({"metadata": {}}));
        assert_eq!(&bytes[..], b"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{}}");
    }

    #[test]
    fn versions() {
        let object = json!({"metadata": {"name": "a"}, "data": {}});
        let bytes = stored(&object, 41);
        assert!(form().unchanged(&form().template(&object), &bytes));
        assert!(!form().unchanged(&form().template(&json!({"metadata": {"name": "a"}})), &bytes));
        let newer: Value = serde_json::from_slice(&form().with_version(&bytes, 1234)).expect("valid");
        assert_eq!(newer["metadata"]["resourceVersion"], "1234");
        assert!(form().metadata(&bytes).starts_with(b"{\"resourceVersion\":\"41\""));
    }
}
