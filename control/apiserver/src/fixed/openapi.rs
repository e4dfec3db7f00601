//! `/openapi/v2` and `/openapi/v3`, from the schema table. Documents are made when they are first asked for:
//! a server that nobody explains anything with does not hold them.

use super::VERSION;
use super::document::Document;
use super::gnostic;
use crate::respond::{self, Reply, negotiate};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use keelson_api::kinds::registry;
use keelson_api::schema;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// One group and version.
struct Part {
    /// `api/v1`, `apis/apps/v1`.
    path: String,
    group: &'static str,
    version: &'static str,
    document: OnceLock<Option<Document>>,
}

/// All documents.
pub struct OpenApi {
    v2: OnceLock<Document>,
    v2_binary: OnceLock<Document>,
    index: OnceLock<Document>,
    parts: Vec<Part>,
}

impl OpenApi {
    pub fn new() -> Self {
        let mut parts: Vec<Part> = Vec::new();
        for def in registry() {
            if !parts.iter().any(|part| part.group == def.group && part.version == def.version) {
                let root =
                    if def.group.is_empty() { "api".to_owned() } else { format!("apis/{}", def.group) };
                parts.push(Part {
                    path: format!("{root}/{}", def.version),
                    group: def.group,
                    version: def.version,
                    document: OnceLock::new(),
                });
            }
        }
        Self { v2: OnceLock::new(), v2_binary: OnceLock::new(), index: OnceLock::new(), parts }
    }

    /// Paths of the parts, for the list at `/`.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.parts.iter().map(|part| format!("/openapi/v3/{}", part.path))
    }

    /// Swagger 2.0: its protobuf form for clients that name it, else JSON.
    pub fn v2(&self, headers: &HeaderMap) -> Reply {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = |clause: &str| clause.split(';').next().unwrap_or_default().trim().to_owned();
        if accept.split(',').map(media).any(|m| m == gnostic::MEDIA_TYPE || m == gnostic::OLD_MEDIA_TYPE) {
            return self.v2_binary.get_or_init(v2_binary).reply(headers);
        }
        if !accepts_json(headers) {
            return respond::error_reply(&negotiate::not_acceptable());
        }
        self.v2
            .get_or_init(|| {
                Document::new(
                    Bytes::from(schema::openapi_v2(registry(), VERSION).to_string()),
                    "application/json",
                )
            })
            .reply(headers)
    }

    /// The index of OpenAPI v3: each path with the hash of its document in the URL.
    pub fn index(&self, headers: &HeaderMap) -> Reply {
        if !accepts_json(headers) {
            return respond::error_reply(&negotiate::not_acceptable());
        }
        self.index
            .get_or_init(|| {
                let mut paths = Map::new();
                for part in &self.parts {
                    if let Some(document) = part.document() {
                        let url = format!("/openapi/v3/{}?hash={}", part.path, document.hash);
                        paths.insert(part.path.clone(), json!({"serverRelativeURL": url}));
                    }
                }
                let index = json!({"paths": Value::Object(paths)});
                Document::new(Bytes::from(index.to_string()), "application/json")
            })
            .reply(headers)
    }

    /// One group and version. With its hash in the URL it may be kept for ever; an old hash leads to the new.
    pub fn document(&self, path: &str, query: &str, headers: &HeaderMap) -> Reply {
        let part = self.parts.iter().find(|part| part.path == path.trim_matches('/'));
        let Some(document) = part.and_then(Part::document) else { return respond::no_such_path() };
        if !accepts_json(headers) {
            return respond::error_reply(&negotiate::not_acceptable());
        }
        match crate::request::query::first(query, "hash") {
            None => document.reply(headers),
            Some(hash) if hash == document.hash => {
                let mut reply = document.reply(headers);
                let forever = HeaderValue::from_static("public, immutable");
                reply.headers_mut().insert(CACHE_CONTROL, forever);
                reply
            }
            Some(_) => {
                let url = format!("/openapi/v3/{}?hash={}", path.trim_matches('/'), document.hash);
                let mut reply = respond::text(StatusCode::MOVED_PERMANENTLY, "");
                if let Ok(url) = HeaderValue::from_str(&url) {
                    reply.headers_mut().insert(LOCATION, url);
                }
                reply
            }
        }
    }
}

fn v2_binary() -> Document {
    let swagger = schema::openapi_v2(registry(), VERSION);
    Document::new(Bytes::from(gnostic::encode(&swagger)), gnostic::MEDIA_TYPE)
}

impl Part {
    fn document(&self) -> Option<&Document> {
        self.document
            .get_or_init(|| {
                let document = schema::openapi_v3(registry(), self.group, self.version, VERSION)?;
                Some(Document::new(Bytes::from(document.to_string()), "application/json"))
            })
            .as_ref()
    }
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(ACCEPT).and_then(|value| value.to_str().ok()) else { return true };
    accept.split(',').any(|clause| {
        let media = clause.split(';').next().unwrap_or_default().trim();
        matches!(media, "" | "*/*" | "application/*" | "application/json")
    })
}
