//! Create: POST to a collection.

use super::write::{self, Owners, decode_own, match_namespace, refuse_invalid, settle_owners};
use crate::admission::{self, Operation};
use crate::clock;
use crate::pipeline::{Admitted, Context};
use crate::request::options::WriteOptions;
use crate::respond::Reply;
use crate::services::Hold;
use crate::storage;
use bytes::Bytes;
use http::StatusCode;
use keelson_api::status::{Status, qualified};
use keelson_api::{meta, schema};
use keelson_store::{Expect, Outcome, Stored, Write};
use serde_json::Value;

/// Tries to find a generated name that is free.
const NAME_TRIES: usize = 8;
/// Bytes of a generateName that are kept, so that the result is at most a DNS label.
const GENERATED_PREFIX: usize = 58;

pub async fn create(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    let options = WriteOptions::parse(ctx.query, "CreateOptions")?;
    ctx.accept(false)?;
    let object = decode_own(ctx, &body, options.validation)?;
    let admitted = store_new(ctx, object, &options, Owners::Writer("")).await?;
    write::reply(ctx, admitted)
}

/// Admits and stores a new object, decoded.
pub async fn store_new(
    ctx: &mut Context<'_>,
    mut object: Value,
    options: &WriteOptions,
    owners: Owners<'_>,
) -> Result<Admitted, Status> {
    match_namespace(ctx, &mut object)?;
    if !matches!(meta::resource_version(&object), "" | "0") {
        return Err(Status::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    let generate = meta::name(&object).is_empty() && !meta::generate_name(&object).is_empty();
    let prefix = generate.then(|| truncated(meta::generate_name(&object)).to_owned());
    if let Some(prefix) = &prefix {
        meta::set_name(&mut object, &format!("{prefix}{}", clock::suffix()));
    }
    ctx.served.def.strategy.default(&mut object);
    settle_owners(ctx, &mut object, None, owners, options);
    let mut hold = admit_create(ctx, &mut object, options)?;
    schema::complete(ctx.served.def.schema, &mut object);
    if options.dry_run {
        return dry_run(ctx, &object);
    }
    for _ in 0..NAME_TRIES {
        match put_new(ctx, &object).await? {
            Outcome::Done(stored) => {
                hold.commit();
                let body = ctx.served.outgoing(stored.bytes);
                return Ok(Admitted { code: StatusCode::CREATED, body });
            }
            Outcome::Conflict(existing) => match &prefix {
                Some(prefix) => meta::set_name(&mut object, &format!("{prefix}{}", clock::suffix())),
                None => return Err(already_exists(ctx, meta::name(&object), existing.as_ref())),
            },
        }
    }
    let def = ctx.served.def;
    let mut status = Status::already_exists(def.group, def.plural, meta::name(&object));
    status.message.push_str(", the server was not able to generate a unique name for the object");
    Err(status)
}

async fn put_new(ctx: &Context<'_>, object: &Value) -> Result<Outcome, Status> {
    let write = Write::Put {
        kind: ctx.served.store_kind.clone(),
        key: storage::key(ctx.served.def, ctx.namespace, meta::name(object)),
        expect: Expect::Absent,
        value: ctx.served.template(object),
    };
    ctx.core.store.write(write).await.map_err(storage::write_error)
}

fn dry_run(ctx: &Context<'_>, object: &Value) -> Result<Admitted, Status> {
    let key = storage::key(ctx.served.def, ctx.namespace, meta::name(object));
    if let Some(existing) = ctx.core.store.get(&ctx.served.store_kind, &key) {
        return Err(already_exists(ctx, meta::name(object), Some(&existing)));
    }
    Ok(Admitted { code: StatusCode::CREATED, body: ctx.served.form.unstored(object) })
}

/// Everything between decoding and storing a new object: defaults, admission, preparation, validation.
fn admit_create(ctx: &mut Context<'_>, object: &mut Value, options: &WriteOptions) -> Result<Hold, Status> {
    let def = ctx.served.def;
    let strategy = def.strategy;
    let name = meta::name(object).to_owned();
    let asked = ctx.admission(Operation::Create, &name, options.dry_run, None, None);
    if admission::mutate(ctx.core, &asked, object)? {
        strategy.default(object);
    }
    meta::prepare_create(object, &clock::uid(), &clock::timestamp());
    strategy.prepare_create(object);
    let mut errors = meta::validate_meta_create(object, def.namespaced, &|name, prefix| {
        strategy.validate_name(name, prefix)
    });
    errors.extend(strategy.validate(object));
    refuse_invalid(def, &name, &errors)?;
    ctx.warnings.extend(strategy.warnings(object));
    let hold = ctx.core.services.create(def, object, options.dry_run)?;
    let asked = ctx.admission(Operation::Create, &name, options.dry_run, Some(object), None);
    admission::validate(ctx.core, &asked)?;
    Ok(hold)
}

fn truncated(prefix: &str) -> &str {
    let mut end = prefix.len().min(GENERATED_PREFIX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    &prefix[..end]
}

fn already_exists(ctx: &Context<'_>, name: &str, existing: Option<&Stored>) -> Status {
    let def = ctx.served.def;
    let mut status = Status::already_exists(def.group, def.plural, name);
    let deleting = existing
        .and_then(|stored| serde_json::from_slice::<Value>(&stored.bytes).ok())
        .is_some_and(|object| meta::deletion_timestamp(&object).is_some());
    if deleting {
        status.message = format!(
            "object is being deleted: {} \"{name}\" already exists",
            qualified(def.plural, def.group)
        );
    }
    status
}
