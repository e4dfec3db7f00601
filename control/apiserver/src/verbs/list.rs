//! List: from a snapshot, in chunks if asked, as stored bytes wherever the client takes them as they are. A big
//! list is written while it is read: memory stays that of one chunk, whatever the list's size.

use super::continue_token::Token;
use crate::pipeline::Context;
use crate::request::options::{ListOptions, Match};
use crate::request::selection::Selection;
use crate::respond::negotiate::{Accept, Transform};
use crate::respond::{self, Reply, gzip, table};
use crate::storage;
use crate::storage::catalog::Served;
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::StatusCode;
use keelson_api::status::Status;
use keelson_store::{HistoryError, Snapshot};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

/// Bytes gathered before they are handed on.
const CHUNK: usize = 64 * 1024;

/// One page of a list.
struct Page {
    snapshot: Snapshot,
    prefix: String,
    selection: Selection,
    /// The last key of the page before.
    after: Option<String>,
    limit: usize,
    /// The resourceVersion that the list shows.
    revision: u64,
}

/// Why there is no page.
enum Refusal {
    Status(Status),
    /// The continue token is too old; the reply carries another one.
    Expired(Token),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal::Status(status)
    }
}

pub fn list(ctx: &Context<'_>) -> Result<Reply, Status> {
    let options = ListOptions::parse(ctx.query, false)?;
    let selection = Selection::parse(ctx.served, &options)?;
    let accept = ctx.accept(true)?;
    let page = match page(ctx, &options, selection) {
        Ok(page) => page,
        Err(Refusal::Status(status)) => return Err(status),
        Err(Refusal::Expired(token)) => return Ok(expired(&token)),
    };
    if accept.transform != Transform::None {
        return formed(ctx, &page, accept);
    }
    if page.limit == 0 { whole(ctx, page, accept) } else { limited(ctx, &page, accept) }
}

/// Finds the snapshot that the request is about.
fn page(ctx: &Context<'_>, options: &ListOptions, selection: Selection) -> Result<Page, Refusal> {
    let store = &ctx.core.store;
    let kind = &ctx.served.store_kind;
    let prefix = storage::prefix(ctx.served.def, ctx.namespace);
    let mut page = Page {
        snapshot: store.snapshot(kind),
        prefix,
        selection,
        after: None,
        limit: options.limit,
        revision: 0,
    };
    if !options.continue_token.is_empty() {
        if options.resource_version.is_some_and(|version| version != 0) {
            let why = "specifying resource version is not allowed when using continue";
            return Err(Status::bad_request(why).into());
        }
        return continued(ctx, page, &options.continue_token);
    }
    // Of the snapshot: what is later than it, it does not show.
    let current = page.snapshot.revision();
    // An empty store has revision 0, which clients would read as "any".
    page.revision = page.snapshot.revision().max(1);
    match (options.resource_version, options.resource_version_match) {
        (None | Some(0), _) => {}
        (Some(asked), _) if asked > current => return Err(storage::too_large_version(asked, current).into()),
        (Some(asked), Some(Match::Exact)) => {
            page.snapshot = store.snapshot_at(kind, asked).map_err(|error| too_old(error, asked))?;
            page.revision = asked;
        }
        // With a limit and no word on how to match, Kubernetes takes the version as exact.
        (Some(asked), None) if options.limit > 0 => {
            page.snapshot = store.snapshot_at(kind, asked).map_err(|error| too_old(error, asked))?;
            page.revision = asked;
        }
        (Some(_), _) => {}
    }
    Ok(page)
}

/// Why there is no list at a past version, in the words of lists.
fn too_old(error: HistoryError, asked: u64) -> Status {
    match error {
        HistoryError::Compacted { .. } => {
            Status::expired("The resourceVersion for the provided list is too old.")
        }
        other => storage::history_error(other, asked),
    }
}

fn continued(ctx: &Context<'_>, mut page: Page, text: &str) -> Result<Page, Refusal> {
    let token = Token::decode(text)?;
    let after = format!("{}{}", page.prefix, token.last);
    if token.revision == 0 {
        page.revision = page.snapshot.revision();
    } else if ctx.core.horizon.has_passed(Instant::now(), token.revision) {
        return Err(Refusal::Expired(token));
    } else {
        page.snapshot = match ctx.core.store.snapshot_at(&ctx.served.store_kind, token.revision) {
            Ok(snapshot) => snapshot,
            Err(HistoryError::Compacted { .. }) => return Err(Refusal::Expired(token)),
            Err(error) => return Err(storage::history_error(error, token.revision).into()),
        };
        page.revision = token.revision;
    }
    page.after = Some(after);
    Ok(page)
}

/// The 410 of an expired token carries one with which the client may go on, if it can do without consistency.
fn expired(token: &Token) -> Reply {
    let status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of \
         the results. Continuing with the provided token results in an inconsistent list - objects that were \
         created, modified, or deleted between the time the first chunk was returned and now may show up in the \
         list.",
    );
    let mut body = status.to_object();
    body["metadata"]["continue"] = Token { revision: 0, last: token.last.clone() }.encode().into();
    respond::json_bytes(StatusCode::GONE, Bytes::from(body.to_string()))
}

/// The items of a page, and what its metadata says of the rest.
struct Items {
    bytes: Vec<Bytes>,
    rest: Rest,
}

/// What follows a page.
#[derive(Default)]
struct Rest {
    token: String,
    remaining: Option<usize>,
}

impl Rest {
    fn write(&self, out: &mut Vec<u8>) {
        if !self.token.is_empty() {
            out.extend_from_slice(b",\"continue\":\"");
            out.extend_from_slice(self.token.as_bytes());
            out.push(b'"');
        }
        if let Some(remaining) = self.remaining {
            out.extend_from_slice(b",\"remainingItemCount\":");
            out.extend_from_slice(remaining.to_string().as_bytes());
        }
    }

    fn metadata(&self, revision: u64) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if !self.token.is_empty() {
            metadata["continue"] = self.token.clone().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }
}

/// Gathers the stored bytes of a page.
fn gather(served: &Served, page: &Page) -> Items {
    let mut bytes = Vec::new();
    let mut last = "";
    let mut more = false;
    for (key, stored) in page.snapshot.range(&page.prefix, page.after.as_deref()) {
        if !page.selection.matches_stored(served, key, stored) {
            continue;
        }
        if page.limit > 0 && bytes.len() == page.limit {
            more = true;
            break;
        }
        last = key;
        bytes.push(served.outgoing(stored.bytes.clone()));
    }
    let mut rest = Rest::default();
    if more {
        let last_key = &last[page.prefix.len()..];
        rest.token = Token { revision: page.revision, last: last_key.to_owned() }.encode();
        // With a selector nobody knows how many would still match.
        if page.selection.is_everything() {
            rest.remaining = Some(page.snapshot.count_after(&page.prefix, last));
        }
    }
    Items { bytes, rest }
}

/// A page with a limit: small enough to be made at once.
fn limited(ctx: &Context<'_>, page: &Page, accept: Accept) -> Result<Reply, Status> {
    let items = gather(ctx.served, page);
    let size: usize = items.bytes.iter().map(|b| b.len() + 2).sum();
    let mut out = Vec::with_capacity(size + 256);
    head(ctx.served, page.revision, &items.rest, &mut out);
    for (index, bytes) in items.bytes.iter().enumerate() {
        append(ctx.served, index == 0, bytes, &mut out);
    }
    out.extend_from_slice(b"]}");
    reply(ctx, Bytes::from(out), accept)
}

fn head(served: &Served, revision: u64, rest: &Rest, out: &mut Vec<u8>) {
    out.extend_from_slice(served.list_head.as_bytes());
    out.extend_from_slice(revision.to_string().as_bytes());
    out.push(b'"');
    rest.write(out);
    out.extend_from_slice(b"},\"items\":[");
}

fn append(served: &Served, first: bool, bytes: &Bytes, out: &mut Vec<u8>) {
    out.extend_from_slice(if first { b"{" } else { b",{" });
    out.extend_from_slice(&served.form.item(bytes));
}

/// A list without limit: the first chunk now, the others as the client takes them.
fn whole(ctx: &Context<'_>, page: Page, accept: Accept) -> Result<Reply, Status> {
    let mut out = Vec::with_capacity(4096);
    head(ctx.served, page.revision, &Rest::default(), &mut out);
    let mut walk = Walk { served: Arc::clone(ctx.served), page, first: true, done: false };
    walk.fill(&mut out);
    if walk.done || !accept.plain() {
        while !walk.done {
            walk.fill(&mut out);
        }
        return reply(ctx, Bytes::from(out), accept);
    }
    let chunks = stream::iter(std::iter::once(Bytes::from(out)).chain(walk));
    let compress = gzip::accepted(ctx.headers);
    let body =
        if compress { gzip::stream(chunks) } else { Body::from_stream(chunks.map(Ok::<_, Infallible>)) };
    let mut reply = respond::with_type(StatusCode::OK, respond::JSON, body);
    if compress {
        gzip::mark(reply.headers_mut());
    }
    Ok(reply)
}

/// A list that is being written.
struct Walk {
    served: Arc<Served>,
    page: Page,
    first: bool,
    done: bool,
}

impl Walk {
    /// Appends about one chunk.
    fn fill(&mut self, out: &mut Vec<u8>) {
        let mut last = None;
        let goal = out.len() + CHUNK;
        for (key, stored) in self.page.snapshot.range(&self.page.prefix, self.page.after.as_deref()) {
            if self.page.selection.matches_stored(&self.served, key, stored) {
                append(&self.served, self.first, &self.served.outgoing(stored.bytes.clone()), out);
                self.first = false;
            }
            if out.len() >= goal {
                last = Some(key.to_owned());
                break;
            }
        }
        match last {
            Some(key) => self.page.after = Some(key),
            None => {
                out.extend_from_slice(b"]}");
                self.done = true;
            }
        }
    }
}

impl Iterator for Walk {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        let mut out = Vec::with_capacity(CHUNK + CHUNK / 4);
        self.fill(&mut out);
        Some(Bytes::from(out))
    }
}

/// A list as Table or as metadata only.
fn formed(ctx: &Context<'_>, page: &Page, accept: Accept) -> Result<Reply, Status> {
    let items = gather(ctx.served, page);
    let objects = items
        .bytes
        .iter()
        .map(|bytes| serde_json::from_slice::<Value>(bytes).map_err(Status::internal))
        .collect::<Result<Vec<_>, _>>()?;
    let metadata = items.rest.metadata(page.revision);
    let body = if accept.transform == Transform::Metadata {
        let items: Vec<Value> = objects.iter().map(table::partial_item).collect();
        json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata, "items": items,
        })
    } else {
        let objects: Vec<&Value> = objects.iter().collect();
        table::render(ctx.served, &objects, table::include_object(ctx.query), metadata)
    };
    reply(ctx, Bytes::from(body.to_string()), accept)
}

fn reply(ctx: &Context<'_>, body: Bytes, accept: Accept) -> Result<Reply, Status> {
    if body.len() >= gzip::THRESHOLD && accept.plain() && gzip::accepted(ctx.headers) {
        let body = gzip::compress(&body).map_err(Status::internal)?;
        let mut reply = respond::json_bytes(StatusCode::OK, body);
        gzip::mark(reply.headers_mut());
        return Ok(reply);
    }
    Ok(respond::encoded(StatusCode::OK, body, accept.format))
}
