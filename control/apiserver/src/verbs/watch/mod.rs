//! Watch: a stream of the events of a kind, from a known version on. The stream is pulled by the connection;
//! a slow client holds nothing but its place in the kind's ring, and gets a 410 when the ring has passed it.

mod form;
mod stream;

use crate::pipeline::Context;
use crate::request::options::ListOptions;
use crate::request::selection::Selection;
use crate::respond::negotiate::{Format, not_acceptable};
use crate::respond::{self, Reply, table};
use crate::storage;
use crate::storage::catalog::Served;
use crate::storage::frames::frame;
use axum::body::Body;
use bytes::Bytes;
use form::Form;
use http::{HeaderValue, StatusCode};
use keelson_api::status::Status;
use keelson_store::{Snapshot, Store, Watcher};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use stream::{Initial, Stream, Times};

/// A watch without `timeoutSeconds` ends after this and up to twice as long, so that clients come back spread
/// over time.
const LONGEST: Duration = Duration::from_secs(1800);

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
    let core = ctx.core;
    let state = Stream {
        served: Arc::clone(ctx.served),
        initial: start.initial.map(|snapshot| Initial { snapshot, after: None }),
        watcher: start.watcher,
        ticks: ctx.served.pace.follow(&core.store, &ctx.served.store_kind, &core.shutdown),
        prefix,
        selection,
        form,
        times: Times::new(lifetime(&options), options.allow_bookmarks),
        announce_end: start.announce_end,
        failed: false,
        shutdown: core.shutdown.clone(),
        metrics: Arc::clone(&core.metrics),
        _running: core.metrics.start_long(),
    };
    let frames = futures::stream::unfold(state, |mut state| async move {
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
    let current = store.revision_of(kind);
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

fn error_frame(status: &Status) -> Bytes {
    frame("ERROR", &respond::status_bytes(status))
}
