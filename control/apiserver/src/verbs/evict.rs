//! Eviction: the deletion of a pod by somebody who must leave the choice to its owner's budget. Budgets
//! (PodDisruptionBudget) are not served, so that every eviction is granted.

use super::delete::remove;
use super::write::{decode_body, match_namespace};
use crate::admission::{self, Operation};
use crate::clock;
use crate::pipeline::Context;
use crate::request::options::{DeleteOptions, WriteOptions};
use crate::respond::{self, Reply};
use crate::storage;
use bytes::Bytes;
use http::StatusCode;
use keelson_api::decode::Target;
use keelson_api::kinds::pod;
use keelson_api::meta;
use keelson_api::status::Status;
use keelson_store::{Expect, Outcome, Write};
use serde_json::Value;

const EVICTION: Target<'static> =
    Target { group: "policy", version: "v1", kind: "Eviction", schema: "io.k8s.api.policy.v1.Eviction" };

/// POST to `pods/NAME/eviction`.
pub async fn evict(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    let options = WriteOptions::parse(ctx.query, "CreateOptions")?;
    let mut eviction = decode_body(ctx, &body, options.validation, &EVICTION)?;
    match_namespace(ctx, &mut eviction)?;
    if meta::name(&eviction) != ctx.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut deletion = DeleteOptions::parse("", &eviction["deleteOptions"])?;
    deletion.dry_run |= options.dry_run;
    if ctx.core.store.get("pods", &ctx.key()).is_none() {
        return Err(ctx.not_found());
    }
    let asked = ctx.admission(Operation::Create, ctx.name, deletion.dry_run, Some(&eviction), None);
    admission::mutate(ctx.core, &asked, &mut eviction.clone())?;
    admission::validate(ctx.core, &asked)?;
    if !deletion.dry_run {
        let marked = mark(ctx, &deletion).await?;
        // The state that was judged is the one before the mark.
        if deletion.resource_version.is_some() {
            deletion.resource_version = Some(marked.to_string());
        }
    }
    remove(ctx, &deletion, false).await?;
    Ok(respond::success(StatusCode::CREATED, Value::Null))
}

/// Writes into the pod's status why it ends; the revision of that.
async fn mark(ctx: &Context<'_>, deletion: &DeleteOptions) -> Result<u64, Status> {
    let key = ctx.key();
    loop {
        let stored = ctx.core.store.get("pods", &key).ok_or_else(|| ctx.not_found())?;
        let mut object = ctx.served.read(&stored)?;
        super::delete::check_preconditions(ctx.served.def, ctx.name, deletion, &object)?;
        pod::mark_evicted(&mut object, &clock::timestamp());
        let write = Write::Put {
            kind: ctx.served.store_kind.clone(),
            key: key.clone(),
            expect: Expect::Revision(stored.revision),
            value: ctx.served.template(&object),
        };
        match ctx.core.store.write(write).await.map_err(storage::write_error)? {
            Outcome::Done(stored) => return Ok(stored.revision),
            Outcome::Conflict(None) => return Err(ctx.not_found()),
            Outcome::Conflict(Some(_)) => {}
        }
    }
}
