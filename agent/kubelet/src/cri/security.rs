//! Security contexts: pod and container settings merged into what the runtime is told.

use crate::pod::refuse::app_armor_profile;
use crate::pod::spec::{ContainerSpec, Pod, Profile, SeLinuxOptions};
use keelson_proto::cri::security_profile::ProfileType;
use keelson_proto::cri::{
    Capability, Int64Value, LinuxContainerSecurityContext, LinuxSandboxSecurityContext, NamespaceMode,
    NamespaceOption, SeLinuxOption, SecurityProfile,
};
use std::path::Path;

/// Hidden from containers under /proc and /sys unless they are privileged or ask for `procMount: Unmasked`.
const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

fn id(value: Option<i64>) -> Option<Int64Value> {
    value.map(|value| Int64Value { value })
}

/// Which namespaces the pod shares with the node, and which among its containers.
pub fn namespaces(pod: &Pod) -> NamespaceOption {
    let node_or = |node: bool, otherwise: NamespaceMode| if node { NamespaceMode::Node } else { otherwise };
    let pid = if pod.spec.share_process_namespace { NamespaceMode::Pod } else { NamespaceMode::Container };
    NamespaceOption {
        network: node_or(pod.spec.host_network, NamespaceMode::Pod).into(),
        pid: node_or(pod.spec.host_pid, pid).into(),
        ipc: node_or(pod.spec.host_ipc, NamespaceMode::Pod).into(),
        target_id: String::new(),
    }
}

fn seccomp(profile: Option<&Profile>, profiles: &Path) -> SecurityProfile {
    let (kind, reference) = match profile {
        Some(p) if p.kind == "RuntimeDefault" => (ProfileType::RuntimeDefault, String::new()),
        Some(p) if p.kind == "Localhost" => {
            (ProfileType::Localhost, profiles.join(&p.localhost_profile).display().to_string())
        }
        _ => (ProfileType::Unconfined, String::new()),
    };
    SecurityProfile { profile_type: kind.into(), localhost_ref: reference }
}

/// AppArmor's profiles are the kernel's, by name.
fn app_armor(profile: &Profile) -> SecurityProfile {
    let (kind, reference) = match profile.kind.as_str() {
        "Unconfined" => (ProfileType::Unconfined, ""),
        "Localhost" => (ProfileType::Localhost, profile.localhost_profile.as_str()),
        _ => (ProfileType::RuntimeDefault, ""),
    };
    SecurityProfile { profile_type: kind.into(), localhost_ref: reference.to_owned() }
}

fn se_linux(options: &SeLinuxOptions) -> SeLinuxOption {
    let SeLinuxOptions { user, role, kind, level } = options.clone();
    SeLinuxOption { user, role, r#type: kind, level }
}

fn supplemental_groups(pod: &Pod) -> Vec<i64> {
    let context = &pod.spec.security_context;
    context.supplemental_groups.iter().copied().chain(context.fs_group).collect()
}

/// The sandbox's own process. `profiles` is where Localhost seccomp profiles lie.
pub fn of_sandbox(pod: &Pod, profiles: &Path) -> LinuxSandboxSecurityContext {
    let context = &pod.spec.security_context;
    let privileged =
        pod.spec.init_containers.iter().chain(&pod.spec.containers).any(|c| c.security_context.privileged);
    LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(pod)),
        selinux_options: context.se_linux_options.as_ref().map(se_linux),
        run_as_user: id(context.run_as_user),
        run_as_group: id(context.run_as_group.filter(|_| context.run_as_user.is_some())),
        readonly_rootfs: false,
        supplemental_groups: supplemental_groups(pod),
        privileged,
        seccomp: Some(match &context.seccomp_profile {
            Some(profile) => seccomp(Some(profile), profiles),
            None => {
                SecurityProfile { profile_type: ProfileType::RuntimeDefault.into(), ..Default::default() }
            }
        }),
    }
}

/// The user in an image's configuration, by number or by name; neither means root.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageUser<'a> {
    pub uid: Option<i64>,
    pub name: &'a str,
}

/// One container; its own settings win over the pod's, the pod's over the image's.
pub fn of_container(
    pod: &Pod,
    container: &ContainerSpec,
    image: ImageUser<'_>,
    profiles: &Path,
) -> LinuxContainerSecurityContext {
    let own = &container.security_context;
    let shared = &pod.spec.security_context;
    let unmasked = own.privileged || own.proc_mount.as_deref() == Some("Unmasked");
    let paths = |list: &[&str]| {
        if unmasked { Vec::new() } else { list.iter().map(|p| (*p).to_owned()).collect() }
    };
    let profile = own.seccomp_profile.as_ref().or(shared.seccomp_profile.as_ref());
    let wanted = own.run_as_user.or(shared.run_as_user);
    // A group without a user is refused by runtimes: the image's user is always named.
    let by_name = wanted.is_none() && image.uid.is_none() && !image.name.is_empty();
    let user = wanted.or(image.uid).unwrap_or(0);
    LinuxContainerSecurityContext {
        capabilities: Some(Capability {
            add_capabilities: own.capabilities.add.clone(),
            drop_capabilities: own.capabilities.drop.clone(),
        }),
        privileged: own.privileged,
        namespace_options: Some(namespaces(pod)),
        selinux_options: own.se_linux_options.as_ref().or(shared.se_linux_options.as_ref()).map(se_linux),
        run_as_user: id((!by_name).then_some(user)),
        run_as_username: if by_name { image.name.to_owned() } else { String::new() },
        readonly_rootfs: own.read_only_root_filesystem,
        supplemental_groups: supplemental_groups(pod),
        no_new_privs: own.allow_privilege_escalation == Some(false),
        run_as_group: id(own.run_as_group.or(shared.run_as_group)),
        masked_paths: paths(&MASKED),
        readonly_paths: paths(&READ_ONLY),
        seccomp: Some(seccomp(profile, profiles)),
        apparmor: app_armor_profile(pod, container).map(|profile| app_armor(&profile)),
    }
}

/// Refuses to run as root what must not.
pub fn check_non_root(pod: &Pod, container: &ContainerSpec, image: ImageUser<'_>) -> Result<(), String> {
    let ImageUser { uid: image_uid, name: image_user } = image;
    let own = &container.security_context;
    let shared = &pod.spec.security_context;
    if own.run_as_non_root.or(shared.run_as_non_root) != Some(true) {
        return Ok(());
    }
    let place = format!(
        "(pod: \"{}_{}({})\", container: {})",
        pod.meta.name, pod.meta.namespace, pod.meta.uid, container.name
    );
    match own.run_as_user.or(shared.run_as_user) {
        Some(0) => Err(format!("container's runAsUser breaks non-root policy {place}")),
        Some(_) => Ok(()),
        None if image_uid == Some(0) || (image_uid.is_none() && image_user.is_empty()) => {
            Err(format!("container has runAsNonRoot and image will run as root {place}"))
        }
        None if image_uid.is_none() => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({image_user}), cannot verify user is non-root {place}"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec}))
            .unwrap()
    }

    #[test]
    fn a_containers_settings_win() {
        let p = pod(json!({
            "securityContext": {"runAsUser": 1000, "fsGroup": 3000, "supplementalGroups": [2000],
                                "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "a", "securityContext": {"runAsUser": 5}}, {"name": "b"}]}));
        let profiles = Path::new("/p");
        let first = of_container(&p, &p.spec.containers[0], ImageUser::default(), profiles);
        assert_eq!(first.run_as_user, Some(Int64Value { value: 5 }));
        assert_eq!(first.supplemental_groups, [2000, 3000]);
        assert_eq!(first.seccomp.unwrap().profile_type, i32::from(ProfileType::RuntimeDefault));
        assert_eq!(
            of_container(&p, &p.spec.containers[1], ImageUser::default(), profiles).run_as_user,
            Some(Int64Value { value: 1000 })
        );
    }

    #[test]
    fn profiles_and_labels_reach_the_runtime() {
        let p = pod(json!({
            "securityContext": {"seLinuxOptions": {"level": "s0:c1"}, "appArmorProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "a"}, {"name": "b", "securityContext": {
                "seLinuxOptions": {"user": "u", "role": "r", "type": "t"},
                "appArmorProfile": {"type": "Localhost", "localhostProfile": "web"}}}]}));
        let option = |user: &str, role: &str, kind: &str, level: &str| {
            let [user, role, r#type, level] = [user, role, kind, level].map(str::to_owned);
            Some(SeLinuxOption { user, role, r#type, level })
        };
        let profile = |kind: ProfileType, name: &str| {
            Some(SecurityProfile { profile_type: kind.into(), localhost_ref: name.to_owned() })
        };
        let of = |index: usize| {
            let c = of_container(&p, &p.spec.containers[index], ImageUser::default(), Path::new("/"));
            (c.selinux_options, c.apparmor)
        };
        assert_eq!(of_sandbox(&p, Path::new("/")).selinux_options, option("", "", "", "s0:c1"));
        assert_eq!(of(0), (option("", "", "", "s0:c1"), profile(ProfileType::RuntimeDefault, "")));
        assert_eq!(of(1), (option("u", "r", "t", ""), profile(ProfileType::Localhost, "web")));
        let plain = pod(json!({"containers": [{"name": "a", "securityContext": {
            "appArmorProfile": {"type": "Unconfined"}}}]}));
        let plain = of_container(&plain, &plain.spec.containers[0], ImageUser::default(), Path::new("/"));
        assert_eq!((plain.selinux_options, plain.apparmor), (None, profile(ProfileType::Unconfined, "")));
    }

    #[test]
    fn the_images_user_comes_last() {
        let check = |spec: serde_json::Value, image: ImageUser<'_>, uid: Option<i64>, name: &str| {
            let p = pod(spec);
            let got = of_container(&p, &p.spec.containers[0], image, Path::new("/"));
            assert_eq!((got.run_as_user.map(|u| u.value), got.run_as_username.as_str()), (uid, name));
        };
        let plain = json!({"containers": [{"name": "a", "securityContext": {"runAsGroup": 9}}]});
        check(plain.clone(), ImageUser::default(), Some(0), "");
        check(plain.clone(), ImageUser { uid: Some(7), name: "" }, Some(7), "");
        check(plain, ImageUser { uid: None, name: "web" }, None, "web");
        let own = json!({"securityContext": {"runAsUser": 5}, "containers": [{"name": "a"}]});
        check(own, ImageUser { uid: None, name: "web" }, Some(5), "");
    }

    #[test]
    fn non_root() {
        let check = |spec: serde_json::Value, uid: Option<i64>, user: &str, ok: bool| {
            let p = pod(spec);
            assert_eq!(check_non_root(&p, &p.spec.containers[0], ImageUser { uid, name: user }).is_ok(), ok);
        };
        let wanted = json!({"securityContext": {"runAsNonRoot": true}, "containers": [{"name": "a"}]});
        check(json!({"containers": [{}]}), Some(0), "", true);
        check(wanted.clone(), Some(0), "", false);
        check(wanted.clone(), None, "", false);
        check(wanted.clone(), None, "nobody", false);
        check(wanted, Some(7), "", true);
        check(
            json!({"securityContext": {"runAsNonRoot": true, "runAsUser": 7}, "containers": [{}]}),
            None,
            "",
            true,
        );
    }
}
