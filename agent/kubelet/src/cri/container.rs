//! One container as the runtime is told of it.

use super::security::ImageUser;
use super::{names, sandbox, security};
use crate::pod::hash::definition_hash;
use crate::pod::quantity::{CPU_PERIOD_US, Limits, oom_score_adj};
use crate::pod::spec::{ContainerSpec, Pod};
use keelson_proto::cri::{
    ContainerConfig, ContainerMetadata, ImageSpec, KeyValue, LinuxContainerConfig, LinuxContainerResources,
    Mount,
};
use std::collections::HashMap;
use std::path::Path;

/// What a container needs beside its spec: all of it resolved.
pub struct ContainerInputs<'a> {
    pub attempt: u32,
    pub image: &'a str,
    pub image_user: ImageUser<'a>,
    pub env: Vec<(String, String)>,
    pub command: Vec<String>,
    pub args: Vec<String>,
    pub mounts: Vec<Mount>,
    /// The host's file behind the termination message path.
    pub termination_file: &'a Path,
    pub memory_capacity_bytes: i64,
    pub seccomp_profiles: &'a Path,
}

pub fn config(pod: &Pod, container: &ContainerSpec, inputs: ContainerInputs<'_>) -> ContainerConfig {
    let limits = Limits::of_container(pod, container);
    let mut labels: HashMap<String, String> = HashMap::from(sandbox::identity(pod));
    labels.insert(names::CONTAINER_NAME.into(), container.name.clone());
    let path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    let policy = container.termination_message_policy.as_deref().unwrap_or("File");
    let grace = pod.spec.termination_grace_period_seconds.unwrap_or(30);
    let annotations = HashMap::from([
        (names::CONTAINER_HASH.to_owned(), definition_hash(container)),
        (names::RESTART_COUNT.to_owned(), inputs.attempt.to_string()),
        (names::TERMINATION_PATH.to_owned(), path.to_owned()),
        (names::TERMINATION_POLICY.to_owned(), policy.to_owned()),
        (names::TERMINATION_HOST_PATH.to_owned(), inputs.termination_file.display().to_string()),
        (names::POD_GRACE.to_owned(), grace.to_string()),
    ]);
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: container.name.clone(), attempt: inputs.attempt }),
        image: Some(ImageSpec { image: inputs.image.to_owned(), ..ImageSpec::default() }),
        command: inputs.command,
        args: inputs.args,
        working_dir: container.working_dir.clone(),
        envs: inputs.env.into_iter().map(|(key, value)| KeyValue { key, value }).collect(),
        mounts: inputs.mounts,
        devices: Vec::new(),
        labels,
        annotations,
        log_path: log_path(&container.name, inputs.attempt),
        stdin: container.stdin,
        stdin_once: container.stdin_once,
        tty: container.tty,
        linux: Some(LinuxContainerConfig {
            resources: Some(LinuxContainerResources {
                cpu_period: CPU_PERIOD_US,
                cpu_quota: limits.quota_us,
                cpu_shares: limits.shares,
                memory_limit_in_bytes: limits.memory_bytes,
                oom_score_adj: oom_score_adj(pod, container, inputs.memory_capacity_bytes),
                ..LinuxContainerResources::default()
            }),
            security_context: Some(security::of_container(
                pod,
                container,
                inputs.image_user,
                inputs.seccomp_profiles,
            )),
        }),
    }
}

/// A container's log below the pod's log directory.
pub fn log_path(container: &str, attempt: u32) -> String {
    format!("{container}/{attempt}.log")
}
