//! The address families of a service. The cluster has one, so a service has one.

use super::allocation::{is_headless, uses_cluster_ip};
use crate::field::{FieldError, FieldErrors, Path};
use crate::validation::value::{at, default_to, has, list, object_mut, set, size, text, texts};
use serde_json::{Value, json};

/// Fills in `ipFamilies` and `ipFamilyPolicy` of a valid service, before its address is allocated. `family` is
/// the cluster's: `IPv4` or `IPv6`.
pub fn complete_families(service: &mut Value, family: &str) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if !uses_cluster_ip(at(service, "spec")) {
        return errors;
    }
    let headless = is_headless(service);
    let Some(spec) = object_mut(service, "spec") else { return errors };
    let path = Path::new("spec");
    if headless && size(spec, "selector") == 0 {
        // Its endpoints are somebody else's, of whatever family.
        if list(spec, "ipFamilies").is_empty() {
            let other = if family == "IPv4" { "IPv6" } else { "IPv4" };
            let single = text(spec, "ipFamilyPolicy") == "SingleStack";
            set(spec, "ipFamilies", if single { json!([family]) } else { json!([family, other]) });
        }
        default_to(spec, "ipFamilyPolicy", "RequireDualStack");
        return errors;
    }
    if text(spec, "ipFamilyPolicy") == "RequireDualStack" {
        let why = "this cluster is not configured for dual-stack services";
        errors.push(FieldError::invalid(&path.child("ipFamilyPolicy"), "RequireDualStack", why));
    }
    for (index, asked) in texts(spec, "ipFamilies").into_iter().enumerate() {
        if asked != family {
            let why = "not configured on this cluster";
            errors.push(FieldError::invalid(&path.child("ipFamilies").index(index), asked, why));
        }
    }
    if errors.is_empty() {
        default_to(spec, "ipFamilyPolicy", "SingleStack");
        if !has(spec, "ipFamilies") || list(spec, "ipFamilies").is_empty() {
            set(spec, "ipFamilies", json!([family]));
        }
    }
    errors
}
