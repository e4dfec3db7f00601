//! The sandbox as the runtime is told of it.

use super::{names, security};
use crate::pod::quantity::{CPU_PERIOD_US, Limits};
use crate::pod::refuse::sysctl::dotted;
use crate::pod::spec::Pod;
use keelson_proto::cri::{
    DnsConfig, LinuxContainerResources, LinuxPodSandboxConfig, PodSandboxConfig, PodSandboxMetadata,
    PortMapping, Protocol,
};
use std::collections::HashMap;
use std::path::Path;

/// What a sandbox needs beside the pod's spec.
pub struct SandboxInputs<'a> {
    pub attempt: u32,
    pub hostname: &'a str,
    pub log_dir: &'a Path,
    pub dns: DnsConfig,
    /// Below each hierarchy's root.
    pub cgroup_parent: &'a str,
    pub seccomp_profiles: &'a Path,
}

pub fn config(pod: &Pod, inputs: SandboxInputs<'_>) -> PodSandboxConfig {
    let mut labels: HashMap<String, String> = pod.meta.labels.clone().into_iter().collect();
    labels.extend(identity(pod));
    let mut annotations: HashMap<String, String> = pod.meta.annotations.clone().into_iter().collect();
    annotations.insert("kubernetes.io/config.source".into(), "api".into());
    let grace = pod.spec.termination_grace_period_seconds.unwrap_or(30);
    annotations.insert(names::POD_GRACE.into(), grace.to_string());
    let limits = Limits::of_pod(pod);
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: pod.meta.name.clone(),
            uid: pod.meta.uid.clone(),
            namespace: pod.meta.namespace.clone(),
            attempt: inputs.attempt,
        }),
        // A pod in the host's network has the host's name.
        hostname: if pod.spec.host_network { String::new() } else { inputs.hostname.to_owned() },
        log_directory: inputs.log_dir.display().to_string(),
        dns_config: Some(inputs.dns),
        port_mappings: if pod.spec.host_network { Vec::new() } else { port_mappings(pod) },
        labels,
        annotations,
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: inputs.cgroup_parent.to_owned(),
            security_context: Some(security::of_sandbox(pod, inputs.seccomp_profiles)),
            sysctls: pod
                .spec
                .security_context
                .sysctls
                .iter()
                .map(|s| (dotted(&s.name), s.value.clone()))
                .collect(),
            overhead: None,
            resources: Some(LinuxContainerResources {
                cpu_period: CPU_PERIOD_US,
                cpu_quota: limits.quota_us,
                cpu_shares: limits.shares,
                memory_limit_in_bytes: limits.memory_bytes,
                ..LinuxContainerResources::default()
            }),
        }),
    }
}

/// The labels that name the pod.
pub fn identity(pod: &Pod) -> [(String, String); 3] {
    [
        (names::POD_NAME.into(), pod.meta.name.clone()),
        (names::POD_NAMESPACE.into(), pod.meta.namespace.clone()),
        (names::POD_UID.into(), pod.meta.uid.clone()),
    ]
}

fn port_mappings(pod: &Pod) -> Vec<PortMapping> {
    let ports = pod.spec.containers.iter().flat_map(|c| &c.ports).filter(|p| p.host_port > 0);
    ports
        .map(|p| PortMapping {
            protocol: match p.protocol.as_str() {
                "UDP" => Protocol::Udp.into(),
                "SCTP" => Protocol::Sctp.into(),
                _ => Protocol::Tcp.into(),
            },
            container_port: p.container_port,
            host_port: p.host_port,
            host_ip: p.host_ip.clone(),
        })
        .collect()
}
