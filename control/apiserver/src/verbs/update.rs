//! Update: PUT of a whole object or of its status.

use super::create;
use super::write::{self, Change, Owners, decode_own, match_name};
use crate::pipeline::Context;
use crate::request::options::WriteOptions;
use crate::respond::Reply;
use bytes::Bytes;
use keelson_api::meta;
use keelson_api::status::Status;
use serde_json::Value;

pub async fn update(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    let options = WriteOptions::parse(ctx.query, "UpdateOptions")?;
    ctx.accept(false)?;
    let mut object = decode_own(ctx, &body, options.validation)?;
    match_name(ctx, &object)?;
    write::match_namespace(ctx, &mut object)?;
    let creates = ctx.subresource.is_empty() && ctx.served.def.strategy.allows_create_on_update();
    if creates && ctx.core.store.get(&ctx.served.store_kind, &ctx.key()).is_none() {
        let admitted = create::store_new(ctx, object, &options, Owners::Writer("")).await?;
        return write::reply(ctx, admitted);
    }
    let warnings = std::mem::take(&mut ctx.warnings);
    let mut produce = |ctx: &mut Context<'_>, old: &Value| {
        ctx.warnings.clone_from(&warnings);
        same_object(ctx, &object, old)?;
        Ok(object.clone())
    };
    let change = Change { options: &options, produce: &mut produce, owners: Owners::Writer(ctx.subresource) };
    let admitted = write::update(ctx, change).await?;
    write::reply(ctx, admitted)
}

/// A uid in the body names the very object that is meant.
fn same_object(ctx: &Context<'_>, object: &Value, old: &Value) -> Result<(), Status> {
    let (given, current) = (meta::uid(object), meta::uid(old));
    if given.is_empty() || given == current {
        return Ok(());
    }
    let why = format!("Precondition failed: UID in precondition: {given}, UID in object meta: {current}");
    Err(Status::conflict(ctx.served.def.group, ctx.served.def.plural, ctx.name, &why))
}
