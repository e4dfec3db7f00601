//! Patch: JSON patch, merge patch and strategic merge patch, of an object or its status.

use super::write::{self, Change, strictness};
use crate::pipeline::{Context, content_type};
use crate::request::options::WriteOptions;
use crate::respond::{self, Reply};
use bytes::Bytes;
use keelson_api::field::{FieldError, Path};
use keelson_api::patch::{Patch, PatchType};
use keelson_api::status::Status;
use serde_json::Value;

/// The patch of a request, parsed, by its media type. Server-side apply is not served.
pub fn parse(ctx: &Context<'_>, body: &[u8]) -> Result<Patch, Status> {
    let unsupported = || respond::unserved(415, "UnsupportedMediaType", "415: Unsupported Media Type");
    let kind = PatchType::from_content_type(content_type(ctx.headers))
        .filter(|kind| *kind != PatchType::Apply)
        .ok_or_else(unsupported)?;
    Patch::parse(kind, body)
}

pub async fn patch(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    let options = WriteOptions::parse(ctx.query, "PatchOptions")?;
    let patch = parse(ctx, &body)?;
    ctx.accept(false)?;
    if options.force.is_some() {
        let error = FieldError::forbidden(&Path::new("force"), "may not be specified for non-apply patch");
        return Err(Status::invalid("meta.k8s.io", "PatchOptions", "", &vec![error]));
    }
    let type_name = ctx.served.def.schema;
    let validation = strictness(options.validation);
    let mut produce = |ctx: &mut Context<'_>, old: &Value| {
        let decoded = patch.apply(old, type_name, validation)?;
        ctx.warnings.extend(decoded.warnings);
        Ok(decoded.object)
    };
    let change = Change { options: &options, produce: &mut produce };
    let admitted = write::update(ctx, change).await?;
    write::reply(ctx, admitted)
}
