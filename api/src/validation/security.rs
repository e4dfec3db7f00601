//! Security contexts of pods and containers.

use super::check;
use super::go_value;
use super::value::{at, flag, has, int, list, text, texts};
use crate::field::{FieldError, FieldErrors, Path};
use serde_json::Value;
use std::collections::BTreeSet;

const ID_WHY: &str = "must be between 0 and 2147483647, inclusive";
const PROFILE_TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];

fn id(context: &Value, field: &str, path: &Path, errors: &mut FieldErrors) {
    if let Some(id) = int(context, field).filter(|id| !(0..=i64::from(i32::MAX)).contains(id)) {
        errors.push(FieldError::invalid(&path.child(field), id, ID_WHY));
    }
}

/// Checks the security context of a container. `host_users`: it runs in the host's user namespace.
pub fn of_container(context: &Value, host_users: bool, path: &Path, errors: &mut FieldErrors) {
    if !context.is_object() {
        return;
    }
    id(context, "runAsUser", path, errors);
    id(context, "runAsGroup", path, errors);
    if has(context, "procMount") {
        check::one_of(text(context, "procMount"), &["Default", "Unmasked"], &path.child("procMount"), errors);
        if host_users && text(context, "procMount") == "Unmasked" {
            let why = "`hostUsers` must be false to use `Unmasked`";
            errors.push(FieldError::invalid(&path.child("procMount"), "Unmasked", why));
        }
    }
    seccomp(at(context, "seccompProfile"), &path.child("seccompProfile"), errors);
    if at(context, "allowPrivilegeEscalation").as_bool() == Some(false) {
        let mut refuse = |why: &str| {
            errors.push(FieldError::shown(path, go_value::compact("SecurityContext", context), why));
        };
        if flag(context, "privileged") {
            refuse("cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        }
        for _ in texts(at(context, "capabilities"), "add").iter().filter(|name| **name == "CAP_SYS_ADMIN") {
            refuse("cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
        }
    }
    app_armor(at(context, "appArmorProfile"), &path.child("appArmorProfile"), errors);
}

/// Checks the security context of a pod. `spec` has the host's namespaces that the pod shares.
pub fn of_pod(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    let context = at(spec, "securityContext");
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        id(context, field, path, errors);
    }
    for (index, group) in list(context, "supplementalGroups").iter().enumerate() {
        let group = group.as_i64().unwrap_or_default();
        if !(0..=i64::from(i32::MAX)).contains(&group) {
            let path = path.child("supplementalGroups").index(index);
            errors.push(FieldError::invalid(&path, group, ID_WHY));
        }
    }
    if flag(spec, "shareProcessNamespace") && flag(spec, "hostPID") {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(FieldError::invalid(&path.child("shareProcessNamespace"), true, why));
    }
    sysctls(spec, &path.child("sysctls"), errors);
    check::optional_one_of(context, "fsGroupChangePolicy", &["Always", "OnRootMismatch"], path, errors);
    seccomp(at(context, "seccompProfile"), &path.child("seccompProfile"), errors);
    app_armor(at(context, "appArmorProfile"), &path.child("appArmorProfile"), errors);
    check::optional_one_of(context, "supplementalGroupsPolicy", &["Merge", "Strict"], path, errors);
    check::optional_one_of(context, "seLinuxChangePolicy", &["MountOption", "Recursive"], path, errors);
}

fn sysctls(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for (index, sysctl) in list(at(spec, "securityContext"), "sysctls").iter().enumerate() {
        let path = path.index(index).child("name");
        let name = text(sysctl, "name");
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else if !is_sysctl_name(name) {
            let why = "must have at most 253 characters and match regex \
                       ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(FieldError::invalid(&path, name, why));
        } else if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        // Namespaces that the pod shares with the host are the host's to set.
        let name_of = name.replace('/', ".");
        let (net, ipc) = (name_of.starts_with("net."), is_ipc(&name_of));
        if flag(spec, "hostNetwork") && net {
            let why = "may not be specified when 'hostNetwork' is true";
            errors.push(FieldError::invalid(&path, name, why));
        } else if flag(spec, "hostIPC") && ipc {
            errors.push(FieldError::invalid(&path, name, "may not be specified when 'hostIPC' is true"));
        }
    }
}

fn is_ipc(name: &str) -> bool {
    matches!(name, "kernel.sem")
        || ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|p| name.starts_with(p))
}

fn is_sysctl_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= 253
        && name.split(['.', '/']).all(|part| {
            let bytes = part.as_bytes();
            bytes.first().is_some_and(|b| inner(*b))
                && bytes.last().is_some_and(|b| inner(*b))
                && bytes.iter().all(|b| inner(*b) || matches!(b, b'-' | b'_'))
        })
}

fn seccomp(profile: &Value, path: &Path, errors: &mut FieldErrors) {
    if !profile.is_object() {
        return;
    }
    let kind = text(profile, "type");
    match kind {
        "" => {
            let why = "type is required when seccompProfile is set";
            errors.push(FieldError::required(&path.child("type"), why));
        }
        _ => check::one_of(kind, &PROFILE_TYPES, &path.child("type"), errors),
    }
    let path = path.child("localhostProfile");
    if kind == "Localhost" {
        if has(profile, "localhostProfile") {
            check::descending_path(text(profile, "localhostProfile"), &path, errors);
        } else {
            errors.push(FieldError::required(&path, "must be set when seccomp type is Localhost"));
        }
    } else if has(profile, "localhostProfile") {
        let shown = go_value::compact("SeccompProfile", profile);
        errors.push(FieldError::shown(&path, shown, "can only be set when seccomp type is Localhost"));
    }
}

fn app_armor(profile: &Value, path: &Path, errors: &mut FieldErrors) {
    if !profile.is_object() {
        return;
    }
    let at_file = path.child("localhostProfile");
    let file = text(profile, "localhostProfile");
    match text(profile, "type") {
        "Localhost" => {
            if file.trim() != file {
                errors.push(FieldError::invalid(&at_file, file, "must not be padded with whitespace"));
            } else if file.is_empty() {
                errors.push(FieldError::required(&at_file, "must be set when AppArmor type is Localhost"));
            }
            if file.len() > 4095 {
                errors.push(FieldError::too_long(&at_file, 4095));
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if has(profile, "localhostProfile") {
                let why = "can only be set when AppArmor type is Localhost";
                errors.push(FieldError::invalid(&at_file, file, why));
            }
        }
        "" => {
            let why = "type is required when appArmorProfile is set";
            errors.push(FieldError::required(&path.child("type"), why));
        }
        other => check::one_of(other, &PROFILE_TYPES, &path.child("type"), errors),
    }
}
