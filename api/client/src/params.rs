//! Options of the verbs, and the reply of a list.

use serde::Serialize;
use serde_json::{Value, json};

/// Options of a list. All empty: everything, at the newest revision, in one page.
#[derive(Clone, Debug, Default)]
pub struct ListParams {
    pub label_selector: String,
    pub field_selector: String,
    /// Objects per page; 0 means no limit.
    pub limit: u32,
    pub continue_token: String,
    pub resource_version: String,
    /// Ask for `PartialObjectMetadataList`.
    pub metadata_only: bool,
}

/// Options of a watch.
#[derive(Clone, Debug, Default)]
pub struct WatchParams {
    pub label_selector: String,
    pub field_selector: String,
    /// Events after this revision.
    pub resource_version: String,
    /// 0 leaves the time to the server.
    pub timeout_seconds: u32,
    pub metadata_only: bool,
}

/// One page of a list, or all of it.
#[derive(Clone, Debug)]
pub struct List<T> {
    pub resource_version: String,
    /// Non-empty when there is another page.
    pub continue_token: String,
    pub items: Vec<T>,
}

/// The formats of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    Json,
    Merge,
    Strategic,
}

impl PatchKind {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
        }
    }
}

/// What happens to an object's dependents when it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// Options of a delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteParams {
    pub grace_period_seconds: Option<i64>,
    pub propagation: Option<Propagation>,
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only the object at this revision.
    pub resource_version: Option<String>,
}

impl DeleteParams {
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if let Some(seconds) = self.grace_period_seconds {
            body["gracePeriodSeconds"] = json!(seconds);
        }
        if let Some(propagation) = self.propagation {
            body["propagationPolicy"] = json!(propagation);
        }
        if let Some(uid) = &self.uid {
            body["preconditions"]["uid"] = json!(uid);
        }
        if let Some(version) = &self.resource_version {
            body["preconditions"]["resourceVersion"] = json!(version);
        }
        body
    }
}

/// A query string under construction; empty values are left out.
pub(crate) struct Query(String);

impl Query {
    pub(crate) fn new() -> Self {
        Self(String::new())
    }

    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.0.push(if self.0.is_empty() { '?' } else { '&' });
            self.0.push_str(name);
            self.0.push('=');
            encode_into(&mut self.0, value);
        }
        self
    }

    pub(crate) fn number(self, name: &str, value: u32) -> Self {
        if value == 0 { self } else { self.add(name, &value.to_string()) }
    }

    pub(crate) fn onto(self, mut path: String) -> String {
        path.push_str(&self.0);
        path
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub(crate) fn encode_into(out: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_leaves_out_what_is_empty_and_escapes_the_rest() {
        let query = Query::new()
            .add("labelSelector", "a in (b,c)")
            .add("fieldSelector", "")
            .number("limit", 0)
            .number("timeoutSeconds", 5);
        assert_eq!(query.onto("/x".into()), "/x?labelSelector=a%20in%20%28b%2Cc%29&timeoutSeconds=5");
    }

    #[test]
    fn delete_bodies() {
        assert_eq!(DeleteParams::default().body(), json!({"kind": "DeleteOptions", "apiVersion": "v1"}));
        let all = DeleteParams {
            grace_period_seconds: Some(0),
            propagation: Some(Propagation::Orphan),
            uid: Some("u".into()),
            resource_version: Some("7".into()),
        };
        assert_eq!(
            all.body(),
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0,
                   "propagationPolicy": "Orphan", "preconditions": {"uid": "u", "resourceVersion": "7"}})
        );
    }
}
