//! What creating and updating share: decoding bodies, checking names against the path, validation, and the loop
//! that writes over a known state.

use crate::admission::{self, Operation};
use crate::clock;
use crate::pipeline::{Admitted, Context, MAX_BODY, content_type};
use crate::request::options::{Validation, WriteOptions};
use crate::respond;
use crate::services::Hold;
use crate::storage;
use http::StatusCode;
use keelson_api::apply::{self, Writer};
use keelson_api::decode::{self, Encoding, Target};
use keelson_api::field::FieldErrors;
use keelson_api::kinds::KindDef;
use keelson_api::schema::{self, FieldValidation};
use keelson_api::status::Status;
use keelson_api::{kinds, meta};
use keelson_proto::kubernetes;
use keelson_store::{Expect, Outcome, Stored, Write};
use serde_json::Value;
use std::borrow::Cow;

/// How strictly the machinery's decoder takes fields.
pub fn strictness(validation: Validation) -> FieldValidation {
    match validation {
        Validation::Ignore => FieldValidation::Ignore,
        Validation::Warn => FieldValidation::Warn,
        Validation::Strict => FieldValidation::Strict,
    }
}

/// A body with its encoding, by its media type; one in protobuf is written anew as JSON first.
pub fn readable<'b>(ctx: &Context<'_>, body: &'b [u8]) -> Result<(Cow<'b, [u8]>, Encoding), Status> {
    match content_type(ctx.headers) {
        "" | "application/json" | "*/*" => Ok((Cow::Borrowed(body), Encoding::Json)),
        "application/yaml" => Ok((Cow::Borrowed(body), Encoding::Yaml)),
        kubernetes::CONTENT_TYPE => {
            let object = kubernetes::decode(body).map_err(|error| Status::bad_request(error.to_string()))?;
            Ok((Cow::Owned(object.to_string().into_bytes()), Encoding::Json))
        }
        _ => Err(unsupported_type()),
    }
}

fn unsupported_type() -> Status {
    Status::new(
        415,
        "UnsupportedMediaType",
        format!(
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml, {}",
            kubernetes::CONTENT_TYPE
        ),
    )
}

/// A body as an object of `kind`, which is the resource's own or that of a subresource.
pub fn decode_body(
    ctx: &mut Context<'_>,
    body: &[u8],
    validation: Validation,
    target: &Target<'_>,
) -> Result<Value, Status> {
    debug_assert!(body.len() <= MAX_BODY);
    let (body, encoding) = readable(ctx, body)?;
    let decoded = decode::object(&body, encoding, target, strictness(validation))?;
    ctx.warnings.extend(decoded.warnings);
    Ok(decoded.object)
}

/// A body as an object of the resource's kind.
pub fn decode_own(ctx: &mut Context<'_>, body: &[u8], validation: Validation) -> Result<Value, Status> {
    decode_body(ctx, body, validation, &Target::from(ctx.served.def))
}

/// The namespace of an object must be the path's, or absent; afterwards it is the path's.
pub fn match_namespace(ctx: &Context<'_>, object: &mut Value) -> Result<(), Status> {
    if !ctx.served.def.namespaced {
        meta::metadata_mut(object).remove("namespace");
        return Ok(());
    }
    let given = meta::namespace(object);
    if given == ctx.namespace {
        return Ok(());
    }
    if !given.is_empty() {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    meta::set_namespace(object, ctx.namespace);
    Ok(())
}

/// The name of an object must be the path's.
pub fn match_name(ctx: &Context<'_>, object: &Value) -> Result<(), Status> {
    let (given, name) = (meta::name(object), ctx.name);
    if given == name {
        return Ok(());
    }
    Err(Status::bad_request(if given.is_empty() {
        format!("the name of the object ({name} based on URL) was undeterminable: name must be provided")
    } else {
        format!("the name of the object ({given}) does not match the name on the URL ({name})")
    }))
}

/// Refuses an object with errors as 422.
pub fn refuse_invalid(def: &KindDef, name: &str, errors: &FieldErrors) -> Result<(), Status> {
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(def.group, def.kind, name, errors)) }
}

/// Who owns which field of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners<'c> {
    /// The object says so already (server-side apply).
    Settled,
    /// The writer owns what it sets; the subresource that it writes, or empty.
    Writer(&'c str),
}

/// Kinds that programs renew all the time and nobody applies: a record of their owners would be most of what
/// they cost.
fn has_owners(def: &KindDef) -> bool {
    !matches!(def.plural, "events" | "leases")
}

/// Records who owns what a write sets: the object as its author sent it with its defaults, before the server
/// adds anything of its own. `old` is the state that is written over.
pub fn settle_owners(
    ctx: &Context<'_>,
    new: &mut Value,
    old: Option<&Value>,
    owners: Owners<'_>,
    options: &WriteOptions,
) {
    let Owners::Writer(subresource) = owners else { return };
    let def = ctx.served.def;
    if !has_owners(def) {
        meta::metadata_mut(new).remove("managedFields");
        return;
    }
    schema::complete(def.schema, new);
    let manager = ctx.manager(&options.field_manager);
    let writer = Writer { manager: &manager, subresource, now: &clock::timestamp() };
    apply::update_managed_fields(def, new, old, &writer);
}

/// An update of one object: how the wanted state comes from the current one, and what of it counts.
pub struct Change<'c> {
    pub options: &'c WriteOptions,
    /// The state wanted, decoded, from the current one. Called again after a conflict.
    pub produce: &'c mut (dyn FnMut(&mut Context<'_>, &Value) -> Result<Value, Status> + Send),
    pub owners: Owners<'c>,
}

/// The outcome of one try.
enum Try {
    Done(Admitted),
    /// Somebody else wrote in between, and the client did not care which state it changes.
    Again,
}

/// Writes over an existing object. A conflict with another writer is tried again, unless the client named the
/// version that it has seen.
pub async fn update(ctx: &mut Context<'_>, mut change: Change<'_>) -> Result<Admitted, Status> {
    let key = ctx.key();
    let core = ctx.core;
    let mut turn = None;
    // Ends with the request's time at the latest.
    loop {
        let stored = core.store.get(&ctx.served.store_kind, &key).ok_or_else(|| ctx.not_found())?;
        match try_update(ctx, &key, stored, &mut change).await? {
            Try::Done(admitted) => return Ok(admitted),
            Try::Again => ctx.warnings.clear(),
        }
        if turn.is_none() {
            turn = Some(core.turns.wait(&ctx.served.store_kind, &key).await);
        }
    }
}

async fn try_update(
    ctx: &mut Context<'_>,
    key: &str,
    stored: Stored,
    change: &mut Change<'_>,
) -> Result<Try, Status> {
    let old = ctx.served.read(&stored)?;
    let mut new = (change.produce)(ctx, &old)?;
    match_name(ctx, &new)?;
    match_namespace(ctx, &mut new)?;
    let conditional = match_version(ctx, &mut new, &old)?;
    ctx.served.def.strategy.default(&mut new);
    settle_owners(ctx, &mut new, Some(&old), change.owners, change.options);
    let mut hold = admit_update(ctx, &mut new, &old, change.options.dry_run)?;
    schema::complete(ctx.served.def.schema, &mut new);
    let template = ctx.served.template(&new);
    let gone = finished(ctx.served.def, &new, &old);
    if change.options.dry_run {
        return Ok(Try::Done(ok(ctx.served.form.unstored(&new))));
    }
    if !gone && ctx.served.stored_form.unchanged(&template, &stored.bytes) {
        return Ok(Try::Done(ok(ctx.served.outgoing(stored.bytes))));
    }
    let (kind, expect) = (ctx.served.store_kind.clone(), Expect::Revision(stored.revision));
    let write = if gone {
        Write::Delete { kind, key: key.to_owned(), expect, last: Some(template) }
    } else {
        Write::Put { kind, key: key.to_owned(), expect, value: template }
    };
    match ctx.core.store.write(write).await.map_err(storage::write_error)? {
        Outcome::Done(written) => {
            hold.commit();
            if gone {
                ctx.core.services.release(ctx.served.def, &old);
            }
            Ok(Try::Done(ok(ctx.served.outgoing(written.bytes))))
        }
        Outcome::Conflict(None) => Err(ctx.not_found()),
        Outcome::Conflict(Some(_)) if conditional => Err(ctx.modified()),
        Outcome::Conflict(Some(_)) => Ok(Try::Again),
    }
}

fn ok(body: bytes::Bytes) -> Admitted {
    Admitted { code: StatusCode::OK, body }
}

/// Checks the resourceVersion that the client has seen; without one, takes the current. Tells whether the
/// client named one.
fn match_version(ctx: &Context<'_>, new: &mut Value, old: &Value) -> Result<bool, Status> {
    let (given, current) = (meta::resource_version(new), meta::resource_version(old));
    let conditional = !given.is_empty() && ctx.verb == crate::request::Verb::Update;
    if given == current {
        return Ok(conditional);
    }
    if !given.is_empty() && given != "0" {
        return Err(ctx.modified());
    }
    if !ctx.served.def.strategy.allows_unconditional_update() {
        let errors = vec![meta::missing_resource_version()];
        return Err(Status::invalid(ctx.served.def.group, ctx.served.def.kind, ctx.name, &errors));
    }
    meta::set_resource_version(new, current);
    Ok(false)
}

/// Everything between decoding and storing an update: admission, defaults, preparation, validation.
fn admit_update(ctx: &mut Context<'_>, new: &mut Value, old: &Value, dry_run: bool) -> Result<Hold, Status> {
    let def = ctx.served.def;
    let strategy = def.strategy;
    let asked = ctx.admission(Operation::Update, ctx.name, dry_run, None, Some(old));
    if admission::mutate(ctx.core, &asked, new)? {
        strategy.default(new);
    }
    meta::prepare_update(new, old);
    let mut errors;
    if ctx.subresource.is_empty() {
        strategy.prepare_update(new, old);
        errors = meta::validate_meta_update(new, old);
        errors.extend_from_within(..);
        errors.extend(strategy.validate_update(new, old));
    } else {
        strategy.prepare_subresource_update(ctx.subresource, new, old);
        errors = meta::validate_meta_update(new, old);
        errors.extend_from_within(..);
        errors.extend(strategy.validate_subresource_update(ctx.subresource, new, old));
    }
    refuse_invalid(def, ctx.name, &errors)?;
    ctx.warnings.extend(strategy.warnings(new));
    let hold = if ctx.subresource.is_empty() {
        ctx.core.services.update(def, new, old, dry_run)?
    } else {
        Hold::none()
    };
    let asked = ctx.admission(Operation::Update, ctx.name, dry_run, Some(new), Some(old));
    admission::validate(ctx.core, &asked)?;
    Ok(hold)
}

/// Whether the update takes away the last thing that held an object under deletion.
fn finished(def: &KindDef, new: &Value, old: &Value) -> bool {
    if def.plural == "namespaces" && def.group.is_empty() {
        return kinds::namespace::is_finalized(new);
    }
    meta::deletion_timestamp(old).is_some()
        && meta::finalizers(new).is_empty()
        && meta::deletion_grace_period_seconds(old).unwrap_or(0) == 0
}

/// The reply of a write, in the form that the client wants.
pub fn reply(ctx: &Context<'_>, admitted: Admitted) -> Result<respond::Reply, Status> {
    let accept = ctx.accept(false)?;
    super::get::present(ctx, admitted.code, admitted.body, accept)
}
