//! Binding: a scheduler gives a pod its node. The rule is the kind's; here is the write.

use super::write::{decode_body, match_namespace};
use crate::clock;
use crate::pipeline::Context;
use crate::request::options::WriteOptions;
use crate::respond::{self, Reply};
use crate::storage::{self, form};
use bytes::Bytes;
use http::StatusCode;
use keelson_api::decode::Target;
use keelson_api::kinds::pod;
use keelson_api::meta;
use keelson_api::schema;
use keelson_api::status::Status;
use keelson_store::{Expect, Outcome, Write};
use serde_json::Value;

const BINDING: Target<'static> =
    Target { group: "", version: "v1", kind: "Binding", schema: "io.k8s.api.core.v1.Binding" };

/// POST to `pods/NAME/binding`, or to `bindings` with the pod's name in the body.
pub async fn bind(ctx: &mut Context<'_>, body: Bytes) -> Result<Reply, Status> {
    let options = WriteOptions::parse(ctx.query, "CreateOptions")?;
    let mut binding = decode_body(ctx, &body, options.validation, &BINDING)?;
    if ctx.name.is_empty() {
        if ctx.namespace.is_empty() {
            return Err(respond::method_not_allowed());
        }
        match_namespace(ctx, &mut binding)?;
    }
    let name = if ctx.name.is_empty() { meta::name(&binding) } else { ctx.name };
    if meta::name(&binding) != name {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    let errors = pod::validate_binding(&binding);
    if !errors.is_empty() {
        return Err(Status::invalid("", "Binding", name, &errors));
    }
    let pods = ctx.core.catalog.core("pods").ok_or_else(respond::no_such_resource)?;
    let key = storage::key(pods.def, ctx.namespace, name);
    let mut turn = None;
    loop {
        let stored = ctx.core.store.get("pods", &key).ok_or_else(|| Status::not_found("", "pods", name))?;
        let mut pod = form::parse(&stored)?;
        check_identity(name, &binding, &pod)?;
        pod::bind(&mut pod, &binding, &clock::timestamp())?;
        schema::complete(pods.def.schema, &mut pod);
        if options.dry_run {
            return Ok(respond::success(StatusCode::CREATED, Value::Null));
        }
        let write = Write::Put {
            kind: pods.store_kind.clone(),
            key: key.clone(),
            expect: Expect::Revision(stored.revision),
            value: pods.form.template(&pod),
        };
        match ctx.core.store.write(write).await.map_err(storage::write_error)? {
            Outcome::Done(_) => return Ok(respond::success(StatusCode::CREATED, Value::Null)),
            Outcome::Conflict(None) => return Err(Status::not_found("", "pods", name)),
            Outcome::Conflict(Some(_)) if turn.is_none() => {
                turn = Some(ctx.core.turns.wait("pods", &key).await);
            }
            Outcome::Conflict(Some(_)) => {}
        }
    }
}

/// A binding may say which pod of that name it means, and which state of it was judged.
fn check_identity(name: &str, binding: &Value, pod: &Value) -> Result<(), Status> {
    for (given, current, what) in [
        (meta::uid(binding), meta::uid(pod), "UID"),
        (meta::resource_version(binding), meta::resource_version(pod), "ResourceVersion"),
    ] {
        if !given.is_empty() && given != current {
            let why = format!(
                "Precondition failed: {what} in precondition: {given}, {what} in object meta: {current}"
            );
            return Err(Status::conflict("", "pods/binding", name, &why));
        }
    }
    Ok(())
}
