//! NamespaceLifecycle: nothing is created in a namespace that does not exist or is going, and the namespaces
//! that a cluster cannot be without stay.

use super::{Admission, Operation};
use crate::server::Core;
use crate::storage::form;
use keelson_api::meta;
use keelson_api::status::{Cause, Status};

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub fn admit(core: &Core, admission: &Admission<'_>) -> Result<(), Status> {
    let on_namespace = admission.def.group.is_empty() && admission.def.plural == "namespaces";
    if on_namespace {
        let protected = admission.operation == Operation::Delete && IMMORTAL.contains(&admission.name);
        return if protected { Err(admission.forbid("this namespace may not be deleted")) } else { Ok(()) };
    }
    if admission.operation != Operation::Create || !admission.def.namespaced {
        return Ok(());
    }
    let namespace = admission.namespace;
    let Some(stored) = core.store.get("namespaces", namespace) else {
        return Err(Status::not_found("", "namespaces", namespace));
    };
    // Cheap for the many: only a namespace that goes has this text in it as a key.
    if !contains(&stored.bytes, b"\"deletionTimestamp\"") {
        return Ok(());
    }
    let terminating = meta::deletion_timestamp(&form::parse(&stored)?).is_some();
    if terminating { Err(refusal(admission)) } else { Ok(()) }
}

fn refusal(admission: &Admission<'_>) -> Status {
    let namespace = admission.namespace;
    let mut status = admission.forbid(&format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    ));
    if let Some(details) = &mut status.details {
        details.causes = vec![Cause {
            reason: "NamespaceTerminating".to_owned(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        }];
    }
    status
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
