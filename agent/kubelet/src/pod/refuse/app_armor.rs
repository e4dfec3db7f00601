//! AppArmor profiles, which only some kernels enforce.

use crate::pod::admit::Refusal;
use crate::pod::spec::{ContainerSpec, Pod, Profile};
use std::borrow::Cow;

/// The older form of the field: an annotation per container.
const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The profile that `container` is to run under: its own, its annotation's or its pod's.
pub fn profile<'a>(pod: &'a Pod, container: &'a ContainerSpec) -> Option<Cow<'a, Profile>> {
    let own = container.security_context.app_armor_profile.as_ref().map(Cow::Borrowed);
    let named = || pod.meta.annotations.get(&format!("{ANNOTATION}{}", container.name));
    let shared = || pod.spec.security_context.app_armor_profile.as_ref().map(Cow::Borrowed);
    own.or_else(|| named().map(|text| Cow::Owned(annotated(text)))).or_else(shared)
}

fn annotated(text: &str) -> Profile {
    let (kind, localhost) = match text.split_once('/') {
        Some(("localhost", name)) => ("Localhost", name),
        Some(("runtime", "default")) => ("RuntimeDefault", ""),
        _ if text == "unconfined" => ("Unconfined", ""),
        // Not a word of Kubernetes': no such profile can be loaded, so that the runtime refuses it.
        _ => ("Localhost", text),
    };
    Profile { kind: kind.to_owned(), localhost_profile: localhost.to_owned() }
}

pub(super) fn check(pod: &Pod, enforced: bool) -> Result<(), Refusal> {
    let mut containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    if !enforced && containers.any(|c| profile(pod, c).is_some_and(|p| p.kind != "Unconfined")) {
        let why = "Cannot enforce AppArmor: AppArmor is not enabled on the host";
        return Err(("AppArmor", why.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn profiles_need_a_kernel_that_enforces_them() {
        let check = |pod: Value, wants: Option<(&str, &str)>, expect: bool| {
            let pod: Pod = serde_json::from_value(pod).unwrap();
            let found = profile(&pod, &pod.spec.containers[0]);
            let found = found.as_ref().map(|p| (p.kind.as_str(), p.localhost_profile.as_str()));
            assert_eq!(found, wants);
            assert_eq!(super::check(&pod, false).is_ok(), expect, "{wants:?}");
            assert!(super::check(&pod, true).is_ok());
        };
        let of_pod = |kind: &str| json!({"appArmorProfile": {"type": kind}});
        let pod = |context: Value, own: Value| json!({"spec": {"securityContext": context, "containers": [{"name": "c", "securityContext": own}]}});
        check(pod(json!({}), json!({})), None, true);
        check(pod(of_pod("RuntimeDefault"), json!({})), Some(("RuntimeDefault", "")), false);
        check(pod(of_pod("RuntimeDefault"), of_pod("Unconfined")), Some(("Unconfined", "")), true);
        let local = json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": "p"}});
        check(pod(of_pod("Unconfined"), local), Some(("Localhost", "p")), false);
        let annotated = |text: &str| {
            let mut pod = pod(of_pod("Unconfined"), json!({}));
            pod["metadata"] = json!({"annotations": {(format!("{ANNOTATION}c")): text}});
            pod
        };
        check(annotated("runtime/default"), Some(("RuntimeDefault", "")), false);
        check(annotated("localhost/a/b"), Some(("Localhost", "a/b")), false);
        check(annotated("unconfined"), Some(("Unconfined", "")), true);
        check(annotated("other"), Some(("Localhost", "other")), false);
    }
}
