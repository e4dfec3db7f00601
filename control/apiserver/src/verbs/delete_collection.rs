//! Deletion of a collection: everything that a list with the same selectors would show.

use super::delete::{self, delete_one};
use crate::pipeline::Context;
use crate::request::options::ListOptions;
use crate::request::selection::Selection;
use crate::respond::{self, Reply};
use crate::storage;
use bytes::Bytes;
use http::StatusCode;
use keelson_api::status::Status;

pub async fn delete_collection(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    let options = delete::options(ctx, &body)?;
    let list = ListOptions::parse(ctx.query, false)?;
    let selection = Selection::parse(ctx.served, &list)?;
    ctx.accept(true)?;
    let snapshot = ctx.core.store.snapshot(&ctx.served.store_kind);
    let prefix = storage::prefix(ctx.served.def, ctx.namespace);
    let keys: Vec<String> = snapshot
        .range(&prefix, None)
        .filter(|(key, stored)| selection.matches_stored(ctx.served, key, stored))
        .map(|(key, _)| key.to_owned())
        .collect();
    let mut items: Vec<Bytes> = Vec::new();
    for key in &keys {
        let (namespace, name) = match key.split_once('/') {
            Some(parts) if ctx.served.def.namespaced => parts,
            _ => ("", key.as_str()),
        };
        let stored = snapshot.get(key).map(|stored| ctx.served.outgoing(stored.bytes.clone()));
        let warnings = std::mem::take(&mut ctx.warnings);
        let mut one = Context {
            core: ctx.core,
            served: ctx.served,
            user: ctx.user,
            verb: ctx.verb,
            namespace,
            name,
            subresource: "",
            query: ctx.query,
            headers: ctx.headers,
            warnings,
        };
        match delete_one(&mut one, &options).await {
            Ok(_) => items.extend(stored.map(|bytes| one.served.form.item(&bytes))),
            // Somebody else deleted it in the meantime: that is what was wanted.
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
        let warnings = one.warnings;
        ctx.warnings = warnings;
    }
    let mut out = Vec::with_capacity(256 + items.iter().map(|i| i.len() + 2).sum::<usize>());
    out.extend_from_slice(ctx.served.list_head.as_bytes());
    out.extend_from_slice(snapshot.revision().to_string().as_bytes());
    out.extend_from_slice(b"\"},\"items\":[");
    for (index, item) in items.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{" } else { b",{" });
        out.extend_from_slice(item);
    }
    out.extend_from_slice(b"]}");
    Ok(respond::json_bytes(StatusCode::OK, Bytes::from(out)))
}
