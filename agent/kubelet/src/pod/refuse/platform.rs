//! The operating system, and how the runtime finds a process' groups.

use crate::pod::admit::Refusal;
use crate::pod::spec::Pod;

const OS: &str = "linux";
const OS_LABEL: &str = "kubernetes.io/os";

pub(super) fn check(pod: &Pod) -> Result<(), Refusal> {
    if pod.meta.labels.get(OS_LABEL).is_some_and(|name| name != OS) {
        let why = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label";
        return Err(("PodOSSelectorNodeLabelDoesNotMatch", why.to_owned()));
    }
    if pod.spec.os.as_ref().is_some_and(|os| os.name != OS) {
        let why = "Failed to admit pod as the OS field doesn't match node OS";
        return Err(("PodOSNotSupported", why.to_owned()));
    }
    // The runtime merges in the groups of the image's /etc/group, always.
    if pod.spec.security_context.supplemental_groups_policy.as_deref() == Some("Strict") {
        let why = "SupplementalGroupsPolicy=Strict is not supported in this node";
        return Err(("SupplementalGroupsPolicyNotSupported", why.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn pods_for_other_nodes() {
        let check = |pod: Value, expect: Option<&str>| {
            let pod: Pod = serde_json::from_value(pod).unwrap();
            assert_eq!(super::check(&pod).err().map(|(reason, _)| reason), expect);
        };
        check(json!({"spec": {}}), None);
        check(json!({"spec": {"os": {"name": "linux"}}}), None);
        check(json!({"spec": {"os": {"name": "windows"}}}), Some("PodOSNotSupported"));
        check(json!({"metadata": {"labels": {"kubernetes.io/os": "linux"}}}), None);
        let label = "PodOSSelectorNodeLabelDoesNotMatch";
        check(json!({"metadata": {"labels": {"kubernetes.io/os": "windows"}}}), Some(label));
        let groups =
            |policy: &str| json!({"spec": {"securityContext": {"supplementalGroupsPolicy": policy}}});
        check(groups("Merge"), None);
        check(groups("Strict"), Some("SupplementalGroupsPolicyNotSupported"));
    }
}
