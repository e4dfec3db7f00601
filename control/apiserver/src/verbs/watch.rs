//! Watch: a stream of the events of a kind, from a known version on. The stream is pulled by the connection;
//! a slow client holds nothing but its place in the kind's ring, and gets a 410 when the ring has passed it.

use crate::metrics::{LongRunning, Metrics};
use crate::pipeline::Context;
use crate::request::options::ListOptions;
use crate::request::selection::Selection;
use crate::respond::negotiate::{Accept, Format, Transform, not_acceptable};
use crate::respond::{self, Reply, table};
use crate::storage;
use crate::storage::catalog::Served;
use crate::storage::frames::{Shared, Type, frame};
use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, StatusCode};
use keelson_api::status::Status;
use keelson_api::table::IncludeObject;
use keelson_store::{Event, EventKind, HistoryError, Snapshot, Store, Stored, Watcher};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two bookmarks.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch without `timeoutSeconds` ends after this and up to twice as long, so that clients come back spread
/// over time.
const LONGEST: Duration = Duration::from_secs(1800);
/// Bytes gathered into one write when several events are ready.
const BATCH: usize = 32 * 1024;
/// The annotation of the bookmark that ends the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

pub fn watch(ctx: &Context<'_>) -> Result<Reply, Status> {
    let mut options = ListOptions::parse(ctx.query, true)?;
    if !ctx.name.is_empty() {
        // The legacy path of a watch on one object.
        options.field_selector = format!("metadata.name={}", ctx.name);
    }
    let accept = ctx.accept(false)?;
    if accept.format != Format::Json {
        return Err(not_acceptable());
    }
    let selection = Selection::parse(ctx.served, &options)?;
    let form = Form { accept, include: table::include_object(ctx.query), headed: false };
    let prefix = storage::prefix(ctx.served.def, ctx.namespace);
    let prefix = match selection.exact_name() {
        Some(name) if !ctx.namespace.is_empty() || !ctx.served.def.namespaced => format!("{prefix}{name}"),
        _ => prefix,
    };
    let start = match start(&ctx.core.store, ctx.served, &prefix, &options) {
        Ok(start) => start,
        // The place is gone: said in the stream, as clients expect it.
        Err(status) if status.code == 410 => return Ok(stream_reply(Body::from(error_frame(&status)))),
        Err(status) => return Err(status),
    };
    let metrics = Arc::clone(&ctx.core.metrics);
    let running = metrics.start_long();
    let state = Stream {
        served: Arc::clone(ctx.served),
        initial: start.initial.map(|snapshot| Initial { snapshot, after: None }),
        watcher: start.watcher,
        prefix,
        selection,
        form,
        ends: Instant::now() + lifetime(&options),
        next_bookmark: Instant::now() + BOOKMARK_EVERY,
        bookmarks: options.allow_bookmarks,
        announce_end: start.announce_end,
        failed: None,
        shutdown: ctx.core.shutdown.clone(),
        metrics,
        _running: running,
    };
    let frames = stream::unfold(state, |mut state| async move {
        let bytes = state.next().await?;
        Some((Ok::<_, Infallible>(bytes), state))
    });
    Ok(stream_reply(Body::from_stream(frames)))
}

fn stream_reply(body: Body) -> Reply {
    respond::with_type(StatusCode::OK, HeaderValue::from_static("application/json"), body)
}

fn lifetime(options: &ListOptions) -> Duration {
    match options.timeout_seconds {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.min(86_400 * 7)),
        _ => LONGEST + Duration::from_secs(crate::clock::random() % LONGEST.as_secs()),
    }
}

/// Where a watch begins.
struct Start {
    /// What exists is sent first, as if it had just been added.
    initial: Option<Snapshot>,
    /// The end of it is told by a bookmark.
    announce_end: bool,
    watcher: Watcher,
}

fn start(store: &Store, served: &Served, prefix: &str, options: &ListOptions) -> Result<Start, Status> {
    let kind = &*served.store_kind;
    let asked = options.resource_version.unwrap_or(0);
    let current = store.revision();
    if asked > current {
        return Err(storage::too_large_version(asked, current));
    }
    let from_now = match options.send_initial_events {
        Some(true) => true,
        // Without initial events and without a version: what happens from now on.
        Some(false) if asked == 0 => {
            let watcher = begin(store, kind, prefix, current)?;
            return Ok(Start { initial: None, announce_end: false, watcher });
        }
        Some(false) => false,
        None => asked == 0,
    };
    if !from_now {
        let watcher = begin(store, kind, prefix, asked)?;
        return Ok(Start { initial: None, announce_end: false, watcher });
    }
    let snapshot = store.snapshot(kind);
    let watcher = begin(store, kind, prefix, snapshot.revision())?;
    let announce_end = options.send_initial_events == Some(true) && options.allow_bookmarks;
    Ok(Start { initial: Some(snapshot), announce_end, watcher })
}

fn begin(store: &Store, kind: &str, prefix: &str, after: u64) -> Result<Watcher, Status> {
    store.watch(kind, prefix, after).map_err(|error| storage::history_error(error, after))
}

/// The objects that existed when the watch began.
struct Initial {
    snapshot: Snapshot,
    /// The last key sent.
    after: Option<String>,
}

/// One watch.
struct Stream {
    served: Arc<Served>,
    initial: Option<Initial>,
    watcher: Watcher,
    prefix: String,
    selection: Selection,
    form: Form,
    ends: Instant,
    next_bookmark: Instant,
    bookmarks: bool,
    announce_end: bool,
    /// Set when the stream has told its error and is over.
    failed: Option<()>,
    shutdown: CancellationToken,
    metrics: Arc<Metrics>,
    _running: LongRunning,
}

impl Stream {
    /// The next bytes of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.failed.is_some() {
            return None;
        }
        if let Some(bytes) = self.initial() {
            return Some(bytes);
        }
        if self.announce_end {
            self.announce_end = false;
            return Some(self.bookmark(true));
        }
        loop {
            let wake = if self.bookmarks { self.ends.min(self.next_bookmark) } else { self.ends };
            let event = tokio::select! {
                biased;
                event = self.watcher.next() => event,
                () = self.shutdown.cancelled() => return None,
                () = tokio::time::sleep_until(wake) => {
                    if Instant::now() >= self.ends {
                        return None;
                    }
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    return Some(self.bookmark(false));
                }
            };
            match event {
                Ok(event) => {
                    if let Some(bytes) = self.event(&event) {
                        return Some(self.gather(bytes));
                    }
                }
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Puts further events that are ready already into the same write.
    fn gather(&mut self, first: Bytes) -> Bytes {
        let mut count = 1;
        let mut out: Option<Vec<u8>> = None;
        while out.as_ref().map_or(first.len(), Vec::len) < BATCH {
            // An error shows again at the next call.
            let Ok(Some(event)) = self.watcher.try_next() else { break };
            if let Some(bytes) = self.event(&event) {
                out.get_or_insert_with(|| first.to_vec()).extend_from_slice(&bytes);
                count += 1;
            }
        }
        self.metrics.watch_events.fetch_add(count, Ordering::Relaxed);
        out.map_or(first, Bytes::from)
    }

    fn fail(&mut self, error: HistoryError) -> Option<Bytes> {
        self.failed = Some(());
        match error {
            HistoryError::Closed => None,
            error => Some(error_frame(&storage::history_error(error, self.watcher.progress()))),
        }
    }

    /// The next batch of objects that existed at the start.
    fn initial(&mut self) -> Option<Bytes> {
        let mut initial = self.initial.take()?;
        let mut out = Vec::new();
        let mut last = None;
        for (key, stored) in initial.snapshot.range(&self.prefix, initial.after.as_deref()) {
            if self.selection.matches_stored(&self.served, key, stored) {
                let object = self.served.outgoing(stored.bytes.clone());
                let frame = self.form.frame(&self.served, Type::Added, &object)?;
                out.extend_from_slice(&frame);
            }
            if out.len() >= BATCH {
                last = Some(key.to_owned());
                break;
            }
        }
        if last.is_some() {
            initial.after = last;
            self.initial = Some(initial);
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    }

    /// The frame of an event, if it concerns this watch.
    fn event(&mut self, event: &Event) -> Option<Bytes> {
        let shared = self.served.frames.share(event.revision);
        let kind =
            if self.selection.is_everything() { whole_kind(event) } else { self.selected(event, &shared)? };
        let left = kind == Type::Deleted && event.kind != EventKind::Delete;
        if left {
            // The object left the selection: what was selected is shown, with the version of the change.
            let previous = event.previous.as_ref()?;
            let object = self.served.stored_form.with_version(&previous.bytes, event.revision);
            return self.form.frame(&self.served, kind, &self.served.outgoing(object));
        }
        let object = || self.served.outgoing(event.value.bytes.clone());
        if self.form.accept.plain() {
            return Some(shared.frame(kind, object));
        }
        self.form.frame(&self.served, kind, &object())
    }

    /// What a change is to those who see only the selection.
    fn selected(&self, event: &Event, shared: &Shared) -> Option<Type> {
        let (served, selection) = (&*self.served, &self.selection);
        let read = |stored: &Stored| served.read(stored).ok();
        let before = event.previous.as_ref().is_some_and(|previous| {
            if selection.needs_object() {
                shared.previous(event, read).is_some_and(|o| selection.matches_object(served, &event.key, o))
            } else {
                selection.matches_stored(served, &event.key, previous)
            }
        });
        if event.kind == EventKind::Delete {
            return before.then_some(Type::Deleted);
        }
        let after = if selection.needs_object() {
            shared.value(event, read).is_some_and(|o| selection.matches_object(served, &event.key, o))
        } else {
            selection.matches_stored(served, &event.key, &event.value)
        };
        transition(before, after)
    }

    fn bookmark(&mut self, initial_end: bool) -> Bytes {
        let revision = self.watcher.progress().max(1).to_string();
        let mut metadata = json!({"resourceVersion": revision, "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        let object = self.form.bookmark(&self.served, metadata);
        frame("BOOKMARK", object.to_string().as_bytes())
    }
}

fn whole_kind(event: &Event) -> Type {
    match event.kind {
        EventKind::Put { created: true } => Type::Added,
        EventKind::Put { created: false } => Type::Modified,
        EventKind::Delete => Type::Deleted,
    }
}

/// Entering the selection is an addition, leaving it a deletion.
fn transition(before: bool, after: bool) -> Option<Type> {
    match (before, after) {
        (false, true) => Some(Type::Added),
        (true, true) => Some(Type::Modified),
        (true, false) => Some(Type::Deleted),
        (false, false) => None,
    }
}

/// How objects are shown in a stream.
struct Form {
    accept: Accept,
    include: IncludeObject,
    /// Column definitions have been sent.
    headed: bool,
}

impl Form {
    /// The frame of an object in another form than the stored one.
    fn frame(&mut self, served: &Served, kind: Type, object: &Bytes) -> Option<Bytes> {
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

    fn bookmark(&self, served: &Served, metadata: Value) -> Value {
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

fn error_frame(status: &Status) -> Bytes {
    frame("ERROR", &respond::status_bytes(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions() {
        assert_eq!(transition(false, true), Some(Type::Added));
        assert_eq!(transition(true, true), Some(Type::Modified));
        assert_eq!(transition(true, false), Some(Type::Deleted));
        assert_eq!(transition(false, false), None);
    }
}
