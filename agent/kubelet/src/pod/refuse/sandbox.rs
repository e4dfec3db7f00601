//! What a pod's sandbox cannot have: a pod that asks for it waits, and an event says for what.

use crate::pod::Failure;
use crate::pod::spec::Pod;

/// The reason when devices are not to be had.
pub const CLAIMS: &str = "FailedPrepareDynamicResources";

/// Refuses what the runtime (CRI of containerd 1.6) or this kubelet has no word for.
pub fn sandbox(pod: &Pod) -> Result<(), Failure> {
    if let Some(claim) = pod.spec.resource_claims.first() {
        let why = format!("resource claim \"{}\": claims of devices are not served by this node", claim.name);
        return Err(Failure::new(CLAIMS, why));
    }
    if pod.spec.host_users == Some(false) {
        let why = "can't set `spec.hostUsers: false`, runtime does not support user namespaces";
        return Err(Failure::new("FailedCreatePodSandBox", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn user_namespaces_and_claims() {
        let check = |spec: Value, expect: Option<&str>| {
            let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
            assert_eq!(sandbox(&pod).err().map(|failure| failure.reason), expect);
        };
        check(json!({}), None);
        check(json!({"hostUsers": true}), None);
        check(json!({"hostUsers": false}), Some("FailedCreatePodSandBox"));
        check(json!({"resourceClaims": [{"name": "gpu"}]}), Some(CLAIMS));
    }
}
