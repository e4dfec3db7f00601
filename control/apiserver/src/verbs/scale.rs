//! The scale subresource: the replicas of a workload, seen as an `autoscaling/v1` Scale.

use super::patch;
use super::write::{self, Change, Owners, decode_body, strictness};
use crate::pipeline::{Admitted, Context};
use crate::request::Verb;
use crate::request::options::WriteOptions;
use crate::respond::Reply;
use crate::storage::form;
use bytes::Bytes;
use http::StatusCode;
use keelson_api::decode::Target;
use keelson_api::kinds::scale;
use keelson_api::patch::Patch;
use keelson_api::status::Status;
use keelson_api::{meta, schema};
use serde_json::Value;

const SCALE: Target<'static> =
    Target { group: "autoscaling", version: "v1", kind: "Scale", schema: "io.k8s.api.autoscaling.v1.Scale" };

/// GET, PUT and PATCH of `NAME/scale`.
pub async fn scale(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    match ctx.verb {
        Verb::Get => {
            let stored =
                ctx.core.store.get(&ctx.served.store_kind, &ctx.key()).ok_or_else(|| ctx.not_found())?;
            let admitted = Admitted { code: StatusCode::OK, body: stored.bytes };
            show(ctx, &admitted)
        }
        Verb::Update => {
            let options = WriteOptions::parse(ctx.query, "UpdateOptions")?;
            let wanted = decode_body(ctx, &body, options.validation, &SCALE)?;
            write::match_name(ctx, &wanted)?;
            change(ctx, &options, |_, _| Ok(wanted.clone())).await
        }
        _ => {
            let options = WriteOptions::parse(ctx.query, "PatchOptions")?;
            let patch = patch::parse(ctx, &body)?.ok_or_else(patch::unsupported)?;
            let validation = strictness(options.validation);
            change(ctx, &options, |ctx, current| patched(ctx, &patch, current, validation)).await
        }
    }
}

fn patched(
    ctx: &mut Context<'_>,
    patch: &Patch,
    current: &Value,
    validation: schema::FieldValidation,
) -> Result<Value, Status> {
    let decoded = patch.apply(current, SCALE.schema, validation)?;
    ctx.warnings.extend(decoded.warnings);
    Ok(decoded.object)
}

/// Writes the workload with the replicas of the Scale that `wanted` makes of the current one.
async fn change(
    ctx: &mut Context<'_>,
    options: &WriteOptions,
    mut wanted: impl FnMut(&mut Context<'_>, &Value) -> Result<Value, Status> + Send,
) -> Result<Reply, Status> {
    let mut produce = |ctx: &mut Context<'_>, old: &Value| {
        let current = scale::from(old);
        let scale = wanted(ctx, &current)?;
        write::match_name(ctx, &scale)?;
        let version = meta::resource_version(&scale);
        if !version.is_empty() && version != meta::resource_version(old) {
            return Err(ctx.modified());
        }
        let errors = scale::validate(&scale);
        if !errors.is_empty() {
            return Err(Status::invalid(SCALE.group, SCALE.kind, ctx.name, &errors));
        }
        let mut object = old.clone();
        scale::apply(&mut object, &scale);
        Ok(object)
    };
    // The workload itself is updated, by the rules of an update of its spec.
    let subresource = std::mem::take(&mut ctx.subresource);
    let result =
        write::update(ctx, Change { options, produce: &mut produce, owners: Owners::Writer("scale") }).await;
    ctx.subresource = subresource;
    let admitted = result?;
    show(ctx, &admitted)
}

fn show(ctx: &Context<'_>, admitted: &Admitted) -> Result<Reply, Status> {
    let accept = ctx.accept(false)?;
    let object: Value = serde_json::from_slice(&admitted.body).map_err(Status::internal)?;
    let mut scale = scale::from(&object);
    schema::complete(SCALE.schema, &mut scale);
    let body = form::ordered(SCALE.kind, "autoscaling/v1", &scale);
    super::get::present(ctx, admitted.code, body, accept)
}
