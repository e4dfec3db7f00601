//! Kernel parameters: only those that are the pod's own and that no other pod feels.

use crate::pod::admit::Refusal;
use crate::pod::spec::Pod;

/// The safe list of Kubernetes v1.36; every kernel that Keelson runs on has them all.
/// Source: kubernetes.io, "Using sysctls in a Kubernetes Cluster".
const SAFE: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

pub(super) fn check(pod: &Pod) -> Result<(), Refusal> {
    for sysctl in &pod.spec.security_context.sysctls {
        let name = dotted(&sysctl.name);
        let namespace = if name.starts_with("net.") {
            pod.spec.host_network.then_some("net")
        } else {
            pod.spec.host_ipc.then_some("ipc")
        };
        let why = match namespace {
            _ if !SAFE.contains(&name.as_str()) => "not allowlisted".to_owned(),
            Some(namespace) => format!("not allowed with host {namespace} enabled"),
            None => continue,
        };
        return Err(("SysctlForbidden", format!("forbidden sysctl: \"{name}\" {why}")));
    }
    Ok(())
}

/// A parameter's name with dots; `net/ipv4/conf/eth0.1/x` means `net.ipv4.conf.eth0/1.x` (sysctl.d(5)).
pub fn dotted(name: &str) -> String {
    if name.find(['.', '/']).is_none_or(|at| name[at..].starts_with('.')) {
        return name.to_owned();
    }
    let swap = |c| match c {
        '/' => '.',
        '.' => '/',
        c => c,
    };
    name.chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn only_safe_ones_of_the_pods_own() {
        let check = |name: &str, more: Value, expect: Option<&str>| {
            let mut spec = json!({"securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
            let expect = expect.map(|why| ("SysctlForbidden", format!("forbidden sysctl: {why}")));
            assert_eq!(super::check(&pod).err(), expect, "{name}");
        };
        check("net.ipv4.tcp_syncookies", json!({}), None);
        check("net/ipv4/tcp_syncookies", json!({}), None);
        check("kernel.shm_rmid_forced", json!({"hostNetwork": true}), None);
        check("net.ipv4.ping_group_range", json!({"hostIPC": true}), None);
        check("kernel.msgmax", json!({}), Some("\"kernel.msgmax\" not allowlisted"));
        check("net/ipv4/ip_forward", json!({}), Some("\"net.ipv4.ip_forward\" not allowlisted"));
        check("vm.swappiness", json!({"hostIPC": true}), Some("\"vm.swappiness\" not allowlisted"));
        let shared = "\"net.ipv4.tcp_syncookies\" not allowed with host net enabled";
        check("net.ipv4.tcp_syncookies", json!({"hostNetwork": true}), Some(shared));
        let shared = "\"kernel.shm_rmid_forced\" not allowed with host ipc enabled";
        check("kernel.shm_rmid_forced", json!({"hostIPC": true}), Some(shared));
    }

    #[test]
    fn names_with_slashes() {
        for (name, expect) in [
            ("net.ipv4.conf.eth0/1.x", "net.ipv4.conf.eth0/1.x"),
            ("net/ipv4/conf/eth0.1/x", "net.ipv4.conf.eth0/1.x"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(dotted(name), expect);
        }
    }
}
