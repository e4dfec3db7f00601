//! Built-in admission, in the order of Kubernetes' chain. `mutate` runs before defaults are filled in for the
//! second time, `validate` when the object is as it would be stored. Webhooks and policies will stand between
//! the built-in mutating plugins and validation, and after the built-in validating ones.
//!
//! Left out because their kinds are not served: LimitRanger, ResourceQuota, PodSecurity.

mod certificate_request;
mod default_tolerations;
mod namespace_lifecycle;
mod priority;
mod runtime_class;
mod service_account;
mod taint_nodes;

use crate::server::Core;
use keelson_api::identity::UserInfo;
use keelson_api::kinds::KindDef;
use keelson_api::status::Status;
use serde_json::Value;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// A request as admission sees it.
#[derive(Clone, Copy)]
pub struct Admission<'a> {
    pub user: &'a UserInfo,
    pub operation: Operation,
    pub def: &'static KindDef,
    /// Empty for the resource itself.
    pub subresource: &'a str,
    /// Empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// Empty while a name is still to be generated.
    pub name: &'a str,
    pub dry_run: bool,
    /// The object as it would be stored; absent on delete, and while it may still be changed.
    pub object: Option<&'a Value>,
    /// The stored object; absent on create.
    pub old: Option<&'a Value>,
}

impl Admission<'_> {
    /// Whether this is the core group's resource itself, not one of its subresources.
    fn is_core(&self, plural: &str) -> bool {
        self.subresource.is_empty() && self.def.group.is_empty() && self.def.plural == plural
    }

    /// A 403 that names the object.
    fn forbid(&self, why: &str) -> Status {
        Status::forbidden(self.def.group, self.def.plural, self.name, why)
    }
}

/// Runs the mutating plugins. True when the object has been changed, so that defaults must be looked at again.
pub(crate) fn mutate(core: &Core, admission: &Admission<'_>, object: &mut Value) -> Result<bool, Status> {
    namespace_lifecycle::admit(core, admission)?;
    let creates = admission.operation == Operation::Create;
    if creates && admission.is_core("pods") {
        service_account::admit(core, admission, object)?;
        priority::admit(admission, object)?;
        default_tolerations::admit(object);
        runtime_class::admit(admission, object)?;
        return Ok(true);
    }
    if admission.operation == Operation::Update && admission.is_core("pods") {
        default_tolerations::admit(object);
        return Ok(true);
    }
    if creates && admission.is_core("nodes") {
        taint_nodes::admit(object);
        return Ok(true);
    }
    if creates && admission.def.plural == "certificatesigningrequests" {
        certificate_request::admit(admission, object);
        return Ok(true);
    }
    Ok(false)
}

/// Runs the validating plugins.
pub(crate) fn validate(core: &Core, admission: &Admission<'_>) -> Result<(), Status> {
    if admission.operation == Operation::Delete {
        namespace_lifecycle::admit(core, admission)?;
    }
    core.auth.validate(admission)
}
