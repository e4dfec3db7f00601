//! Patch: JSON patch, merge patch, strategic merge patch and server-side apply, of an object or its status.

use super::create;
use super::write::{self, Change, Owners, strictness};
use crate::clock;
use crate::pipeline::{Context, content_type};
use crate::request::options::WriteOptions;
use crate::respond::{self, Reply};
use bytes::Bytes;
use keelson_api::apply::{self, Writer};
use keelson_api::decode;
use keelson_api::field::{FieldError, Path};
use keelson_api::meta;
use keelson_api::patch::{Patch, PatchType};
use keelson_api::status::Status;
use serde_json::Value;

/// The refusal of a patch of a type that is not served.
pub fn unsupported() -> Status {
    respond::unserved(415, "UnsupportedMediaType", "415: Unsupported Media Type")
}

/// The patch of a request, parsed, by its media type; `None` when it is to be applied.
pub fn parse(ctx: &Context<'_>, body: &[u8]) -> Result<Option<Patch>, Status> {
    match PatchType::from_content_type(content_type(ctx.headers)).ok_or_else(unsupported)? {
        PatchType::Apply => Ok(None),
        kind => Patch::parse(kind, body).map(Some),
    }
}

pub async fn patch(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    let options = WriteOptions::parse(ctx.query, "PatchOptions")?;
    let patch = parse(ctx, &body)?;
    ctx.accept(false)?;
    match patch {
        Some(patch) => merge(ctx, &patch, &options).await,
        None => server_side(ctx, &body, &options).await,
    }
}

fn refuse_option(error: FieldError) -> Status {
    Status::invalid("meta.k8s.io", "PatchOptions", "", &vec![error])
}

async fn merge(ctx: &mut Context<'_>, patch: &Patch, options: &WriteOptions) -> Result<Reply, Status> {
    if options.force.is_some() {
        let why = "may not be specified for non-apply patch";
        return Err(refuse_option(FieldError::forbidden(&Path::new("force"), why)));
    }
    let type_name = ctx.served.def.schema;
    let validation = strictness(options.validation);
    let mut produce = |ctx: &mut Context<'_>, old: &Value| {
        let decoded = patch.apply(old, type_name, validation)?;
        ctx.warnings.extend(decoded.warnings);
        Ok(decoded.object)
    };
    let change = Change { options, produce: &mut produce, owners: Owners::Writer(ctx.subresource) };
    let admitted = write::update(ctx, change).await?;
    write::reply(ctx, admitted)
}

/// Server-side apply: creates what does not exist.
async fn server_side(ctx: &mut Context<'_>, body: &[u8], options: &WriteOptions) -> Result<Reply, Status> {
    if options.field_manager.is_empty() {
        let error = FieldError::required(&Path::new("fieldManager"), "is required for apply patch");
        return Err(refuse_option(error));
    }
    let wanted = decode::parse_yaml(body)
        .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
    write::match_name(ctx, &wanted)?;
    let exists = ctx.core.store.get(&ctx.served.store_kind, &ctx.key()).is_some();
    if !exists && ctx.subresource.is_empty() {
        let object = applied(ctx, None, &wanted, options)?;
        let admitted = create::store_new(ctx, object, options, Owners::Settled).await?;
        return write::reply(ctx, admitted);
    }
    let mut produce = |ctx: &mut Context<'_>, old: &Value| applied(ctx, Some(old), &wanted, options);
    let change = Change { options, produce: &mut produce, owners: Owners::Settled };
    let admitted = write::update(ctx, change).await?;
    write::reply(ctx, admitted)
}

fn applied(
    ctx: &Context<'_>,
    live: Option<&Value>,
    wanted: &Value,
    options: &WriteOptions,
) -> Result<Value, Status> {
    let given = meta::resource_version(wanted);
    if !given.is_empty() && live.is_none_or(|live| meta::resource_version(live) != given) {
        return Err(ctx.modified());
    }
    let now = clock::timestamp();
    let writer = Writer { manager: &options.field_manager, subresource: ctx.subresource, now: &now };
    apply::apply(ctx.served.def, live, wanted, &writer, options.force.unwrap_or(false))
}
