//! Delete: at once, gracefully, or when the finalizers are gone. The decision is pure (`plan`); the store's
//! answer may ask for it again.

use super::write::readable;
use crate::admission::{self, Operation};
use crate::clock;
use crate::pipeline::{Admitted, Context};
use crate::request::options::{DeleteOptions, Propagation};
use crate::respond::Reply;
use crate::storage;
use bytes::Bytes;
use http::StatusCode;
use keelson_api::decode::{self, Encoding};
use keelson_api::kinds::{self, KindDef};
use keelson_api::meta::{self, FINALIZER_FOREGROUND, FINALIZER_ORPHAN};
use keelson_api::status::{Status, qualified};
use keelson_api::time;
use keelson_store::{Expect, Outcome, Stored, Write};
use serde_json::{Value, json};

pub async fn delete(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    let options = options(ctx, &body)?;
    let accept = ctx.accept(false)?;
    let admitted = delete_one(ctx, &options).await?;
    super::get::present(ctx, admitted.code, admitted.body, accept)
}

/// The options from the body, if there is one, else from the query.
pub fn options(ctx: &Context<'_>, body: &[u8]) -> Result<DeleteOptions, Status> {
    if body.is_empty() {
        return DeleteOptions::parse(ctx.query, &Value::Null);
    }
    let (body, encoding) = readable(ctx, body)?;
    let parsed = match encoding {
        Encoding::Json => decode::parse_json(&body),
        Encoding::Yaml => decode::parse_yaml(&body),
    };
    let parsed = parsed.map_err(|error| {
        Status::bad_request(format!(
            "couldn't get version/kind; json parse error: {error} ({})",
            String::from_utf8_lossy(&body[..body.len().min(256)])
        ))
    })?;
    DeleteOptions::parse(ctx.query, &parsed)
}

/// What is done about a delete.
#[derive(Debug, PartialEq)]
enum Plan {
    /// Gone at once; the state that watchers see last, if it differs from the stored one.
    Remove(Option<Value>),
    /// Marked; something else removes it later.
    Mark(Value),
    /// Nothing to do: it is being deleted already.
    Pending,
}

/// Deletes the object that the path names.
pub async fn delete_one(ctx: &mut Context<'_>, options: &DeleteOptions) -> Result<Admitted, Status> {
    remove(ctx, options, true).await
}

/// Deletes the object that the path names; `asked_for` when that is what the request is, and admission has to
/// agree.
pub async fn remove(
    ctx: &mut Context<'_>,
    options: &DeleteOptions,
    asked_for: bool,
) -> Result<Admitted, Status> {
    let key = ctx.key();
    let core = ctx.core;
    let mut turn = None;
    loop {
        let stored = ctx.core.store.get(&ctx.served.store_kind, &key).ok_or_else(|| ctx.not_found())?;
        let old = ctx.served.read(&stored)?;
        check_preconditions(ctx.served.def, ctx.name, options, &old)?;
        if asked_for {
            let asked = ctx.admission(Operation::Delete, ctx.name, options.dry_run, None, Some(&old));
            admission::validate(ctx.core, &asked)?;
        }
        let plan = plan(ctx.served.def, &old, options, clock::unix_seconds());
        if options.dry_run {
            return Ok(dry(ctx, &old, stored, plan));
        }
        match carry_out(ctx, &key, &stored, &plan).await? {
            Some(Outcome::Done(written)) => {
                let removed = matches!(plan, Plan::Remove(_));
                if removed {
                    ctx.core.services.release(ctx.served.def, &old);
                }
                let body = ctx.served.outgoing(written.bytes);
                return Ok(answer(ctx.served.def, &old, body, removed));
            }
            Some(Outcome::Conflict(None)) => return Err(ctx.not_found()),
            Some(Outcome::Conflict(Some(_))) if turn.is_none() => {
                turn = Some(core.turns.wait(&ctx.served.store_kind, &key).await);
            }
            Some(Outcome::Conflict(Some(_))) => {}
            None => {
                let body = ctx.served.outgoing(stored.bytes);
                return Ok(answer(ctx.served.def, &old, body, false));
            }
        }
    }
}

async fn carry_out(
    ctx: &Context<'_>,
    key: &str,
    stored: &Stored,
    plan: &Plan,
) -> Result<Option<Outcome>, Status> {
    let (kind, key) = (ctx.served.store_kind.clone(), key.to_owned());
    let expect = Expect::Revision(stored.revision);
    let write = match plan {
        Plan::Remove(last) => {
            let last = last.as_ref().map(|object| ctx.served.template(object));
            Write::Delete { kind, key, expect, last }
        }
        Plan::Mark(object) => Write::Put { kind, key, expect, value: ctx.served.template(object) },
        Plan::Pending => return Ok(None),
    };
    ctx.core.store.write(write).await.map(Some).map_err(storage::write_error)
}

fn dry(ctx: &Context<'_>, old: &Value, stored: Stored, plan: Plan) -> Admitted {
    let (object, removed) = match plan {
        Plan::Remove(last) => (last, true),
        Plan::Mark(object) => (Some(object), false),
        Plan::Pending => (None, false),
    };
    let body =
        object.map_or_else(|| ctx.served.outgoing(stored.bytes), |object| ctx.served.form.unstored(&object));
    answer(ctx.served.def, old, body, removed)
}

/// Kinds whose deletion is answered with the object; the others with a Status.
fn answers_object(def: &KindDef) -> bool {
    def.group.is_empty() && matches!(def.plural, "pods" | "services" | "serviceaccounts")
}

fn answer(def: &KindDef, old: &Value, body: Bytes, removed: bool) -> Admitted {
    if !removed || answers_object(def) {
        return Admitted { code: StatusCode::OK, body };
    }
    let mut details = json!({"name": meta::name(old)});
    if !def.group.is_empty() {
        details["group"] = def.group.into();
    }
    details["kind"] = def.plural.into();
    details["uid"] = meta::uid(old).into();
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    });
    Admitted { code: StatusCode::OK, body: Bytes::from(status.to_string()) }
}

/// The object must be the one that the client means.
pub fn check_preconditions(
    def: &KindDef,
    name: &str,
    options: &DeleteOptions,
    old: &Value,
) -> Result<(), Status> {
    let conflict = |why: String| {
        let mut status = Status::conflict(def.group, def.kind, name, &why);
        status.message =
            format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(def.kind, def.group));
        Err(status)
    };
    if let Some(uid) = &options.uid
        && uid != meta::uid(old)
    {
        return conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            meta::uid(old)
        ));
    }
    if let Some(version) = &options.resource_version
        && version != meta::resource_version(old)
    {
        return conflict(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
            meta::resource_version(old)
        ));
    }
    Ok(())
}

/// Decides; `now` is Unix time in seconds.
fn plan(def: &KindDef, old: &Value, options: &DeleteOptions, now: i64) -> Plan {
    if def.group.is_empty() && def.plural == "namespaces" {
        return plan_namespace(old, now);
    }
    let mut object = old.clone();
    let grace = match grace(def, old, options) {
        Grace::Pending => return Plan::Pending,
        Grace::None => None,
        Grace::Seconds(seconds) => Some(seconds),
    };
    set_propagation_finalizers(&mut object, options.propagation);
    let held = !meta::finalizers(&object).is_empty();
    match grace {
        Some(seconds) => {
            mark(&mut object, seconds, now);
            if seconds > 0 || held { Plan::Mark(object) } else { Plan::Remove(Some(object)) }
        }
        None if held => {
            if meta::deletion_timestamp(old).is_none() {
                bump_generation(&mut object);
                meta::set_deletion(&mut object, &time::seconds(now), 0);
            } else if meta::deletion_grace_period_seconds(old) != Some(0) {
                meta::set_deletion(&mut object, meta::deletion_timestamp(old).unwrap_or_default(), 0);
            }
            if object == *old { Plan::Pending } else { Plan::Mark(object) }
        }
        None => Plan::Remove(None),
    }
}

/// A namespace is marked first; its controller empties and finalizes it.
fn plan_namespace(old: &Value, now: i64) -> Plan {
    if meta::deletion_timestamp(old).is_some() {
        return if kinds::namespace::is_finalized(old) { Plan::Remove(None) } else { Plan::Pending };
    }
    let mut object = old.clone();
    meta::metadata_mut(&mut object).insert("deletionTimestamp".to_owned(), time::seconds(now).into());
    kinds::namespace::mark_terminating(&mut object);
    Plan::Mark(object)
}

enum Grace {
    /// The kind has no grace period, or the object's has run out.
    None,
    Seconds(i64),
    /// A deletion with at most this grace period is under way.
    Pending,
}

fn grace(def: &KindDef, old: &Value, options: &DeleteOptions) -> Grace {
    let Some(default) = def.strategy.default_grace_period_seconds(old) else { return Grace::None };
    if meta::deletion_timestamp(old).is_some() {
        let running = meta::deletion_grace_period_seconds(old).unwrap_or(0);
        return match options.grace_period_seconds {
            _ if running == 0 => Grace::None,
            Some(wanted) if wanted.max(0) < running => Grace::Seconds(at_least(wanted)),
            _ => Grace::Pending,
        };
    }
    // What nobody runs, or no longer runs, needs no time to stop.
    let idle = old["spec"]["nodeName"].as_str().unwrap_or_default().is_empty()
        || matches!(old["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    Grace::Seconds(if idle { 0 } else { at_least(options.grace_period_seconds.unwrap_or(default)) })
}

/// A negative period means the shortest one that is graceful.
fn at_least(seconds: i64) -> i64 {
    if seconds < 0 { 1 } else { seconds }
}

/// Sets when the object will be gone; a shorter period moves the time that was set before.
fn mark(object: &mut Value, seconds: i64, now: i64) {
    let started = match (meta::deletion_timestamp(object), meta::deletion_grace_period_seconds(object)) {
        (Some(at), Some(grace)) => time::parse(at).map_or(now, |at| at - grace),
        _ => {
            bump_generation(object);
            now
        }
    };
    meta::set_deletion(object, &time::seconds(started + seconds), seconds);
}

fn bump_generation(object: &mut Value) {
    let generation = meta::generation(object);
    if generation > 0 {
        meta::set_generation(object, generation + 1);
    }
}

/// The finalizers that the garbage collector answers to.
fn set_propagation_finalizers(object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let mut wanted: Vec<String> = meta::finalizers(object)
        .into_iter()
        .filter(|f| *f != FINALIZER_ORPHAN && *f != FINALIZER_FOREGROUND)
        .map(str::to_owned)
        .collect();
    match propagation {
        Propagation::Orphan => wanted.push(FINALIZER_ORPHAN.to_owned()),
        Propagation::Foreground => wanted.push(FINALIZER_FOREGROUND.to_owned()),
        Propagation::Background => {}
    }
    if wanted.is_empty() {
        meta::metadata_mut(object).remove("finalizers");
    } else {
        meta::metadata_mut(object).insert("finalizers".to_owned(), wanted.into());
    }
}

#[cfg(test)]
mod tests;
