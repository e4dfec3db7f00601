//! What the runtime holds, by pod: one listing of sandboxes and containers turned into observations.
//!
//! A container's full status is asked for only when it is new or has changed, so that a listing of an idle
//! node costs two calls.

use super::{Cri, CriError, names};
use crate::pod::{ContainerSeen, Observation, RunState, SandboxSeen};
use keelson_proto::cri::{
    Container, ContainerState, ContainerStatus, PodSandbox, PodSandboxState, PodSandboxStatus,
};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// A termination message longer than this is cut.
const MESSAGE_BYTES_MAX: usize = 4096;
/// With the fallback to logs: as much of the log's end.
const FALLBACK_BYTES_MAX: usize = 2048;
const FALLBACK_LINES_MAX: usize = 80;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// A pod as its sandbox's labels name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodName {
    pub uid: String,
    pub namespace: String,
    pub name: String,
}

/// Remembers what was seen, so that only changes are reported and asked about.
#[derive(Default)]
pub struct Observer {
    containers: HashMap<String, ContainerSeen>,
    sandboxes: HashMap<String, SandboxSeen>,
    reported: BTreeMap<PodName, (Vec<SandboxSeen>, Vec<ContainerSeen>)>,
}

impl Observer {
    /// Lists the runtime at `listed` (monotonic ms). Only pods that differ from the last listing are returned;
    /// a pod that vanished is returned empty.
    pub async fn observe(&mut self, cri: &Cri, listed: u64) -> Result<Vec<(PodName, Observation)>, CriError> {
        let (sandboxes, containers) = tokio::try_join!(cri.list_pod_sandbox(), cri.list_containers())?;
        let mut pods: BTreeMap<PodName, (Vec<SandboxSeen>, Vec<ContainerSeen>)> = BTreeMap::new();
        let mut known = HashMap::with_capacity(sandboxes.len());
        for sandbox in &sandboxes {
            let Some(pod) = pod_name(&sandbox.labels) else { continue };
            let Some(seen) = self.sandbox(cri, sandbox).await? else { continue };
            known.insert(seen.id.clone(), seen.clone());
            pods.entry(pod).or_default().0.push(seen);
        }
        self.sandboxes = known;
        let mut known = HashMap::with_capacity(containers.len());
        for container in &containers {
            let Some(pod) = pod_name(&container.labels) else { continue };
            let Some(seen) = self.container(cri, container).await? else { continue };
            known.insert(seen.id.clone(), seen.clone());
            pods.entry(pod).or_default().1.push(seen);
        }
        self.containers = known;
        Ok(self.changes(pods, listed))
    }

    fn changes(
        &mut self,
        pods: BTreeMap<PodName, (Vec<SandboxSeen>, Vec<ContainerSeen>)>,
        listed: u64,
    ) -> Vec<(PodName, Observation)> {
        let mut changed = Vec::new();
        for (pod, now) in &pods {
            if self.reported.get(pod) != Some(now) {
                let (sandboxes, containers) = now.clone();
                changed.push((pod.clone(), Observation { listed, sandboxes, containers }));
            }
        }
        for pod in self.reported.keys().filter(|p| !pods.contains_key(*p)) {
            changed.push((pod.clone(), Observation { listed, ..Observation::default() }));
        }
        self.reported = pods;
        changed
    }

    async fn sandbox(&self, cri: &Cri, sandbox: &PodSandbox) -> Result<Option<SandboxSeen>, CriError> {
        let ready = sandbox.state == i32::from(PodSandboxState::SandboxReady);
        if let Some(seen) = self.sandboxes.get(&sandbox.id).filter(|s| s.ready == ready) {
            return Ok(Some(seen.clone()));
        }
        match cri.pod_sandbox_status(&sandbox.id).await {
            Ok(status) => Ok(Some(sandbox_seen(&status))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn container(&self, cri: &Cri, container: &Container) -> Result<Option<ContainerSeen>, CriError> {
        let state = run_state(container.state);
        if let Some(seen) = self.containers.get(&container.id).filter(|s| s.state == state) {
            return Ok(Some(seen.clone()));
        }
        match cri.container_status(&container.id).await {
            Ok(status) => Ok(Some(container_seen(&status, &container.pod_sandbox_id))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) if error.is_unavailable() => Err(error),
            // One container that the runtime cannot tell about must not hide all others.
            Err(error) => {
                tracing::warn!(container = container.id, %error, "a container's status is not known");
                Ok(Some(self.containers.get(&container.id).cloned().unwrap_or_else(|| listed(container))))
            }
        }
    }
}

/// What a listing alone tells of a container; its end is left for a status to tell.
fn listed(container: &Container) -> ContainerSeen {
    let metadata = container.metadata.clone().unwrap_or_default();
    ContainerSeen {
        id: container.id.clone(),
        name: metadata.name,
        sandbox: container.pod_sandbox_id.clone(),
        restart_count: metadata.attempt,
        state: run_state(container.state).min(RunState::Running),
        created: container.created_at / NANOS_PER_MILLI,
        ..ContainerSeen::default()
    }
}

fn pod_name(labels: &HashMap<String, String>) -> Option<PodName> {
    let label = |name: &str| labels.get(name).cloned();
    Some(PodName {
        uid: label(names::POD_UID)?,
        namespace: label(names::POD_NAMESPACE)?,
        name: label(names::POD_NAME)?,
    })
}

fn run_state(state: i32) -> RunState {
    match ContainerState::try_from(state) {
        Ok(ContainerState::ContainerCreated) => RunState::Created,
        Ok(ContainerState::ContainerRunning) => RunState::Running,
        // A container that the runtime cannot tell about is treated as ended: it gets stopped or made anew.
        _ => RunState::Exited,
    }
}

pub fn sandbox_seen(status: &PodSandboxStatus) -> SandboxSeen {
    let network = status.network.clone().unwrap_or_default();
    let more = network.additional_ips.into_iter().map(|ip| ip.ip);
    SandboxSeen {
        id: status.id.clone(),
        attempt: status.metadata.as_ref().map_or(0, |m| m.attempt),
        ready: status.state == i32::from(PodSandboxState::SandboxReady),
        created: status.created_at / NANOS_PER_MILLI,
        grace_s: status.annotations.get(names::POD_GRACE).and_then(|g| g.parse().ok()),
        ips: std::iter::once(network.ip).chain(more).filter(|ip| !ip.is_empty()).collect(),
    }
}

pub fn container_seen(status: &ContainerStatus, sandbox: &str) -> ContainerSeen {
    let annotation = |name: &str| status.annotations.get(name).map_or("", String::as_str);
    let metadata = status.metadata.clone().unwrap_or_default();
    let state = run_state(status.state);
    let message = if state == RunState::Exited { termination_message(status) } else { String::new() };
    ContainerSeen {
        id: status.id.clone(),
        sandbox: sandbox.to_owned(),
        restart_count: annotation(names::RESTART_COUNT).parse().unwrap_or(metadata.attempt),
        name: metadata.name,
        hash: annotation(names::CONTAINER_HASH).to_owned(),
        state,
        created: status.created_at / NANOS_PER_MILLI,
        started: status.started_at / NANOS_PER_MILLI,
        finished: status.finished_at / NANOS_PER_MILLI,
        exit_code: status.exit_code,
        reason: status.reason.clone(),
        message,
        image: status.image.clone().unwrap_or_default().image,
        image_id: status.image_ref.clone(),
    }
}

/// What the container left in its termination file, or the end of its log when it may be used instead, or
/// the runtime's own words.
fn termination_message(status: &ContainerStatus) -> String {
    let annotation = |name: &str| status.annotations.get(name).map_or("", String::as_str);
    let file = annotation(names::TERMINATION_HOST_PATH);
    let mut message = if file.is_empty() { String::new() } else { tail(Path::new(file), MESSAGE_BYTES_MAX) };
    let fallback = annotation(names::TERMINATION_POLICY) == "FallbackToLogsOnError";
    if message.is_empty() && fallback && status.exit_code != 0 {
        message = crate::logs::tail_text(Path::new(&status.log_path), FALLBACK_LINES_MAX, FALLBACK_BYTES_MAX);
    }
    if message.is_empty() { status.message.clone() } else { message }
}

/// The first bytes of a small file, as text.
fn tail(path: &Path, bytes_max: usize) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    if let Ok(file) = std::fs::File::open(path)
        && file.take(limit).read_to_end(&mut bytes).is_err()
    {
        bytes.clear();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
