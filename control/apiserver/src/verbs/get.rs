//! Get: one object by name, as the stored bytes unless the client wants another form.

use crate::pipeline::Context;
use crate::request::{options, query};
use crate::respond::negotiate::{Accept, Transform};
use crate::respond::{self, Reply, table};
use crate::storage;
use bytes::Bytes;
use http::StatusCode;
use keelson_api::status::Status;
use serde_json::{Value, json};

pub fn get(ctx: &Context<'_>) -> Result<Reply, Status> {
    let accept = ctx.accept(false)?;
    // Read first: the object is no older than this.
    let current = ctx.core.store.revision_of(&ctx.served.store_kind);
    let stored = ctx.core.store.get(&ctx.served.store_kind, &ctx.key()).ok_or_else(|| ctx.not_found())?;
    if let Some(text) = query::first(ctx.query, "resourceVersion") {
        // A single member serves its latest state, which is fresher than any version it has ever shown.
        let asked = options::resource_version(&text)?.unwrap_or(0);
        if asked > current {
            return Err(storage::too_large_version(asked, current));
        }
    }
    present(ctx, StatusCode::OK, ctx.served.outgoing(stored.bytes), accept)
}

/// A reply with one object: `body` is its JSON.
pub fn present(ctx: &Context<'_>, code: StatusCode, body: Bytes, accept: Accept) -> Result<Reply, Status> {
    if accept.transform == Transform::None {
        return Ok(respond::object(code, body, accept));
    }
    let object: Value = serde_json::from_slice(&body).map_err(Status::internal)?;
    if object["kind"] == "Status" {
        return Ok(respond::object(code, body, accept));
    }
    let formed = match accept.transform {
        Transform::Metadata => table::partial(&object),
        _ => {
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            table::render(ctx.served, &[&object], table::include_object(ctx.query), metadata)
        }
    };
    Ok(respond::encoded(code, Bytes::from(formed.to_string()), accept.format))
}
