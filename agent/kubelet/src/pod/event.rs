//! What moves a pod, and what a pod asks for.

use super::probe::ProbeKind;
use super::spec::Pod;
use std::sync::Arc;

/// Something that happened to one pod.
#[derive(Clone, Debug)]
pub enum PodEvent {
    /// The API's newest version of the pod.
    Updated(Arc<Pod>),
    /// The API no longer knows the pod.
    Gone,
    /// What the runtime holds of the pod.
    Observed(Observation),
    /// With the time (monotonic ms) at which the volumes want to be refreshed.
    VolumesMounted(Result<Option<u64>, Failure>),
    SandboxCreated(Result<SandboxSeen, Failure>),
    SandboxStopped(Result<(), Failure>),
    ContainerStarted {
        name: String,
        result: Result<ContainerSeen, Failure>,
    },
    /// The stop call for a container came back.
    ContainerStopped {
        id: String,
        result: Result<(), Failure>,
    },
    /// The postStart hook of a running container is over.
    PostStarted {
        id: String,
        result: Result<(), String>,
    },
    Probed {
        id: String,
        result: ProbeResult,
    },
    /// An object that the pod refers to has changed.
    ReferencesChanged,
    /// Volumes, directories and cgroups are removed.
    TornDown(Result<(), Failure>),
    /// Sandboxes, containers and logs are removed.
    Purged,
    /// The API object was deleted (or was gone already).
    ObjectDeleted,
    /// A timer is due.
    Tick,
}

/// What a probe said; `success` is `None` when it could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    pub kind: ProbeKind,
    pub success: Option<bool>,
    pub output: String,
}

/// A failed action: `reason` is one of Kubernetes' words (`ErrImagePull`, `CreateContainerConfigError` ...).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: &'static str,
    pub message: String,
}

impl Failure {
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The runtime's view of one pod, as listed at `listed` (monotonic ms, before the call).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    pub listed: u64,
    pub sandboxes: Vec<SandboxSeen>,
    pub containers: Vec<ContainerSeen>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SandboxSeen {
    pub id: String,
    pub attempt: u32,
    pub ready: bool,
    /// Milliseconds since the epoch.
    pub created: i64,
    pub ips: Vec<String>,
    /// The pod's termination grace period, as it was when the sandbox was made.
    pub grace_s: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunState {
    #[default]
    Created,
    Running,
    Exited,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerSeen {
    pub id: String,
    pub name: String,
    pub sandbox: String,
    pub restart_count: u32,
    /// Of the definition that it was made from.
    pub hash: String,
    pub state: RunState,
    /// Milliseconds since the epoch, 0 when it has not happened.
    pub created: i64,
    pub started: i64,
    pub finished: i64,
    pub exit_code: i32,
    /// `Completed`, `Error`, `OOMKilled` ...
    pub reason: String,
    pub message: String,
    /// The image's name as asked for, and its identity.
    pub image: String,
    pub image_id: String,
}

/// Something to be done for one pod by an executor.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Make the pod's directories and volumes, or bring them up to date.
    MountVolumes,
    CreateSandbox {
        attempt: u32,
    },
    StartContainer {
        name: String,
        attempt: u32,
        sandbox: String,
        ips: Vec<String>,
    },
    PostStart {
        name: String,
        id: String,
    },
    /// `grace_s` is the whole time: hook and signal together.
    StopContainer {
        name: String,
        id: String,
        grace_s: i64,
        hook: bool,
        message: String,
    },
    Probe {
        name: String,
        id: String,
        kind: ProbeKind,
        ips: Vec<String>,
    },
    StopSandbox {
        id: String,
    },
    /// Remove old containers and sandboxes; failures are not reported (what is left goes with the pod).
    Remove {
        containers: Vec<String>,
        sandboxes: Vec<String>,
    },
    Record {
        warning: bool,
        reason: &'static str,
        message: String,
        container: Option<String>,
    },
    /// Unmount volumes, remove directories and cgroups. Of what still runs in the cgroup `sandboxes` may be the cause.
    TearDown {
        sandboxes: Vec<String>,
    },
    /// Remove every sandbox and container of the pod and its logs.
    Purge {
        sandboxes: Vec<String>,
    },
    /// Delete the API object with grace 0, after the last status is written.
    DeleteObject,
    /// The pod is over: drop its machine.
    Forget,
}
