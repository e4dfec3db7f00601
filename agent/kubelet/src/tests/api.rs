//! An API for tests. What it models: objects with resourceVersion, uid and generation; list and watch with
//! `metadata.name` and `spec.nodeName` selectors; create; patches, with the API server's own merging and its
//! strict check of types and fields; graceful deletion with uid precondition and final delete at grace 0;
//! TokenRequest. It checks no permission, defaults nothing and validates no values.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use keelson_api::patch::{Patch, PatchType};
use keelson_api::schema::FieldValidation;
use keelson_api::status::Status;
use keelson_client::{ResponseBody, Transport, TransportError};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

type Key = (String, String, String);

#[derive(Default)]
struct State {
    revision: u64,
    objects: BTreeMap<Key, Value>,
    /// Revision, plural, event type, object.
    log: Vec<(u64, String, &'static str, Value)>,
    requests: Vec<(Method, String, Value)>,
}

#[derive(Clone)]
pub struct Api {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

/// A request's place: plural, namespace, name, subresource.
struct Place {
    plural: String,
    namespace: String,
    name: String,
    sub: String,
}

fn place(path: &str) -> Place {
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    parts.drain(..if parts[0] == "api" { 2 } else { 3 });
    let mut namespace = String::new();
    if parts[0] == "namespaces" && parts.len() > 2 {
        namespace = parts[1].to_owned();
        parts.drain(..2);
    }
    let part = |i: usize| parts.get(i).map_or(String::new(), |p| (*p).to_owned());
    Place { plural: part(0), namespace, name: part(1), sub: part(2) }
}

impl Api {
    pub fn new() -> Self {
        Self { state: Arc::default(), changed: watch::Sender::new(0) }
    }

    pub fn put(&self, plural: &str, object: Value) -> Value {
        let mut state = self.state.lock();
        let text = |p: &str| object.pointer(p).and_then(Value::as_str).unwrap_or("").to_owned();
        let key = (plural.to_owned(), text("/metadata/namespace"), text("/metadata/name"));
        let stored = self.store(&mut state, key, object);
        drop(state);
        stored
    }

    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.state.lock().objects.get(&(plural.to_owned(), namespace.to_owned(), name.to_owned())).cloned()
    }

    pub fn list(&self, plural: &str) -> Vec<Value> {
        self.state.lock().objects.iter().filter(|(k, _)| k.0 == plural).map(|(_, v)| v.clone()).collect()
    }

    /// Writes that came in: method, path, body.
    pub fn writes(&self) -> Vec<(Method, String, Value)> {
        self.state.lock().requests.clone()
    }

    /// Asks for a pod's deletion as `kubectl delete` does.
    pub fn delete_pod(&self, namespace: &str, name: &str, grace: i64) {
        let mut state = self.state.lock();
        let key = ("pods".to_owned(), namespace.to_owned(), name.to_owned());
        self.delete(&mut state, key, &json!({"gracePeriodSeconds": grace}));
    }

    fn store(&self, state: &mut State, key: Key, mut object: Value) -> Value {
        state.revision += 1;
        let before = state.objects.get(&key).cloned();
        let meta = object["metadata"].as_object_mut().unwrap();
        meta.insert("resourceVersion".into(), json!(state.revision.to_string()));
        let uid = before.as_ref().and_then(|b| b.pointer("/metadata/uid").cloned());
        meta.entry("uid").or_insert(uid.unwrap_or_else(|| json!(uuid::Uuid::new_v4().to_string())));
        meta.entry("generation").or_insert(json!(1));
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        state.log.push((state.revision, key.0.clone(), kind, object.clone()));
        state.objects.insert(key, object.clone());
        self.changed.send_replace(state.revision);
        object
    }

    fn delete(&self, state: &mut State, key: Key, options: &Value) -> (u16, Value) {
        let Some(mut object) = state.objects.get(&key).cloned() else { return failure(404, "NotFound") };
        let wanted = options.pointer("/preconditions/uid");
        if wanted.is_some() && wanted != object.pointer("/metadata/uid") {
            return failure(409, "Conflict");
        }
        let asked = options.get("gracePeriodSeconds").and_then(Value::as_i64);
        let grace =
            asked.or_else(|| object.pointer("/spec/terminationGracePeriodSeconds")?.as_i64()).unwrap_or(30);
        if key.0 == "pods" && grace > 0 {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            return (200, self.store(state, key, object));
        }
        state.revision += 1;
        object["metadata"]["resourceVersion"] = json!(state.revision.to_string());
        state.objects.remove(&key);
        state.log.push((state.revision, key.0, "DELETED", object.clone()));
        self.changed.send_replace(state.revision);
        (200, object)
    }

    fn answer(&self, method: &Method, place: Place, query: &str, content: &str, body: Value) -> (u16, Value) {
        let mut state = self.state.lock();
        let key = (place.plural.clone(), place.namespace.clone(), place.name.clone());
        match *method {
            Method::GET if place.name.is_empty() => (200, list(&state, &place, query)),
            Method::GET => match state.objects.get(&key) {
                Some(object) => (200, object.clone()),
                None => failure(404, "NotFound"),
            },
            Method::POST if place.sub == "token" => {
                let life = body.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap();
                let end = keelson_api::time::seconds(jiff::Timestamp::now().as_second() + life);
                let token = format!("token-{}", state.revision);
                state.revision += 1;
                (201, json!({"status": {"token": token, "expirationTimestamp": end}}))
            }
            // Reviews decide nothing here: what was asked comes back without a status.
            Method::POST if place.plural.ends_with("reviews") => (201, body),
            Method::POST => {
                let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap().to_owned();
                let key = (place.plural, place.namespace, name);
                if state.objects.contains_key(&key) {
                    return failure(409, "AlreadyExists");
                }
                (201, self.store(&mut state, key, body))
            }
            Method::PATCH => {
                let Some(mut object) = state.objects.get(&key).cloned() else {
                    return failure(404, "NotFound");
                };
                let uid = body.pointer("/metadata/uid");
                if uid.is_some() && uid != object.pointer("/metadata/uid") {
                    return failure(409, "Conflict");
                }
                match patched(&mut object, &key.0, content, &body) {
                    Ok(()) => (200, self.store(&mut state, key, object)),
                    Err(status) => (status.code, json!(status)),
                }
            }
            Method::DELETE => self.delete(&mut state, key, &body),
            _ => failure(405, "MethodNotAllowed"),
        }
    }

    fn watch(&self, place: Place, query: String) -> ResponseBody {
        let from = parameter(&query, "resourceVersion").and_then(|v| v.parse().ok()).unwrap_or(0);
        let (state, mut changed) = (Arc::clone(&self.state), self.changed.subscribe());
        let (sender, receiver) = tokio::sync::mpsc::channel(64);
        tokio::spawn(async move {
            let mut reached: u64 = from;
            loop {
                let frames = {
                    let state = state.lock();
                    let new = state.log.iter().filter(|e| e.0 > reached && e.1 == place.plural);
                    let frames: Vec<Value> = new
                        .filter(|e| selected(&e.3, &place.namespace, &query))
                        .map(|e| json!({"type": e.2, "object": e.3}))
                        .collect();
                    reached = state.revision;
                    frames
                };
                for frame in frames {
                    let line = Bytes::from(format!("{frame}\n"));
                    if sender.send(Ok(http_body::Frame::data(line))).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    changed = changed.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
            }
        });
        StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(receiver)).boxed_unsync()
    }
}

fn failure(code: u16, reason: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "code": code, "reason": reason, "message": reason}))
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.replace("%3D", "="))
}

fn selected(object: &Value, namespace: &str, query: &str) -> bool {
    let text = |p: &str| object.pointer(p).and_then(Value::as_str).unwrap_or("");
    let selector = parameter(query, "fieldSelector").unwrap_or_default();
    let field = match selector.split_once('=') {
        Some(("metadata.name", name)) => text("/metadata/name") == name,
        Some(("spec.nodeName", name)) => text("/spec/nodeName") == name,
        _ => true,
    };
    field && (namespace.is_empty() || text("/metadata/namespace") == namespace)
}

fn list(state: &State, place: &Place, query: &str) -> Value {
    let items: Vec<&Value> = state
        .objects
        .iter()
        .filter(|(key, object)| key.0 == place.plural && selected(object, &place.namespace, query))
        .map(|(_, object)| object)
        .collect();
    json!({"metadata": {"resourceVersion": state.revision.to_string()}, "items": items})
}

/// Applies a patch as the API server does, and refuses what is not of the object's type.
fn patched(object: &mut Value, plural: &str, content: &str, body: &Value) -> Result<(), Status> {
    let type_name = match plural {
        "pods" => "io.k8s.api.core.v1.Pod",
        "nodes" => "io.k8s.api.core.v1.Node",
        "leases" => "io.k8s.api.coordination.v1.Lease",
        _ => "io.k8s.api.core.v1.Event",
    };
    let kind = PatchType::from_content_type(content).ok_or_else(Status::unauthorized)?;
    let patch = Patch::parse(kind, body.to_string().as_bytes())?;
    *object = patch.apply(object, type_name, FieldValidation::Strict)?.object;
    Ok(())
}

impl Transport for Api {
    fn call(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'static, Result<Response<ResponseBody>, TransportError>> {
        let this = self.clone();
        Box::pin(async move {
            let query = request.uri().query().unwrap_or("").to_owned();
            let place = place(request.uri().path());
            if parameter(&query, "watch").is_some() {
                return Ok(Response::new(this.watch(place, query)));
            }
            let content =
                request.headers().get("content-type").map_or("", |v| v.to_str().unwrap()).to_owned();
            let body = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
            if request.method() != Method::GET {
                let path = request.uri().path().to_owned();
                this.state.lock().requests.push((request.method().clone(), path, body.clone()));
            }
            let (code, reply) = this.answer(request.method(), place, &query, &content, body);
            let body =
                Full::new(Bytes::from(reply.to_string())).map_err(|never| match never {}).boxed_unsync();
            Ok(Response::builder().status(code).body(body).unwrap())
        })
    }
}
