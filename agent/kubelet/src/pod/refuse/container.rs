//! What one container cannot have: it waits with `CreateContainerConfigError` and these words.

use crate::pod::restart::RESTART;
use crate::pod::spec::{ContainerSpec, VolumeMount};

pub fn container(container: &ContainerSpec) -> Result<(), String> {
    if let Some(device) = container.volume_devices.first() {
        let (volume, name) = (&device.name, &container.name);
        return Err(format!("cannot find volume \"{volume}\" to pass into container \"{name}\""));
    }
    for mount in &container.volume_mounts {
        recursive_read_only(mount).map_err(|e| format!("failed to resolve recursive read-only mode: {e}"))?;
    }
    match container.restart_policy_rules.iter().find(|rule| rule.action != RESTART) {
        Some(rule) => Err(format!("restartPolicyRules: action \"{}\" is not done by this node", rule.action)),
        None => Ok(()),
    }
}

/// `IfPossible` is met by a mount that is read-only and not recursively so: the runtime has no word for it.
fn recursive_read_only(mount: &VolumeMount) -> Result<(), String> {
    let refuse =
        |why: &str| Err(format!("volume \"{}\" requested recursive read-only mode, but {why}", mount.name));
    let propagation = mount.mount_propagation.as_deref().filter(|mode| *mode != "None");
    match (mount.recursive_read_only.as_deref(), propagation) {
        (None | Some("Disabled"), _) => Ok(()),
        (Some(_), _) if !mount.read_only => refuse("it is not read-only"),
        (Some(_), Some(mode)) => refuse(&format!("it is not compatible with propagation \"{mode}\"")),
        (Some("IfPossible"), None) => Ok(()),
        (Some("Enabled"), None) => refuse("it is not supported by the runtime"),
        (Some(mode), None) => Err(format!("unknown recursive read-only mode \"{mode}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn devices_mounts_and_rules() {
        let check = |spec: Value, expect: Option<&str>| {
            let spec: ContainerSpec = serde_json::from_value(spec).unwrap();
            let words = container(&spec).err().unwrap_or_default();
            assert!(words.contains(expect.unwrap_or_default()), "{words}");
            assert_eq!(words.is_empty(), expect.is_none(), "{words}");
        };
        let mount = |mode: &str, read_only: bool, propagation: &str| {
            json!({"volumeMounts": [{"name": "v", "recursiveReadOnly": mode, "readOnly": read_only,
                                     "mountPropagation": propagation}]})
        };
        check(json!({"volumeMounts": [{"name": "v"}]}), None);
        check(mount("Disabled", false, "Bidirectional"), None);
        check(mount("IfPossible", true, "None"), None);
        check(
            mount("Enabled", true, "None"),
            Some("volume \"v\" requested recursive read-only mode, but it is not supported by the runtime"),
        );
        check(mount("IfPossible", false, "None"), Some("it is not read-only"));
        check(
            mount("IfPossible", true, "HostToContainer"),
            Some("not compatible with propagation \"HostToContainer\""),
        );
        check(mount("Other", true, "None"), Some("unknown recursive read-only mode \"Other\""));
        let device = json!({"name": "c", "volumeDevices": [{"name": "v", "devicePath": "/dev/v"}]});
        check(device, Some("cannot find volume \"v\" to pass into container \"c\""));
        let rule = |action: &str| json!({"restartPolicyRules": [{"action": action}]});
        check(rule("Restart"), None);
        check(rule("RestartAllContainers"), Some("action \"RestartAllContainers\" is not done by this node"));
    }
}
