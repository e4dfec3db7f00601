//! The state machine of one pod: `step(event, now) -> commands`.
//!
//! It holds everything that is known of the pod on this node and decides what is done next. It never performs
//! IO, reads a clock or draws a random number; an executor runs its commands and feeds the results back.

use super::container::{Container, Role, State};
use super::event::{Command, ContainerSeen, Failure, Observation, PodEvent, RunState, SandboxSeen};
use super::hash::definition_hash;
use super::refuse::CLAIMS;
use super::restart::restarts;
use super::spec::{ContainerSpec, Pod};
use super::time::{Now, parse};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Progress of something that is done once, with retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Todo,
    Busy,
    /// Try again then (monotonic ms).
    Retry(u64),
    Done,
}

impl Step {
    /// Whether it may be tried at `now`.
    pub(super) fn due(self, now: u64) -> bool {
        match self {
            Self::Todo => true,
            Self::Retry(at) => now >= at,
            Self::Busy | Self::Done => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sandbox {
    Absent,
    Creating,
    Failed {
        until: u64,
    },
    Ready(SandboxSeen),
    /// It died or vanished; its containers are stopped before a new one is made.
    Lost(SandboxSeen),
    Stopping(SandboxSeen),
    Stopped,
}

/// Why the pod ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Every container has ended for good.
    Completed,
    /// The kubelet ends it: the pod's phase becomes Failed with these words.
    Failed { reason: &'static str, message: String },
    /// The API asks for its deletion.
    Deleted,
    /// The API no longer knows it.
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) cause: Cause,
    pub(super) grace_s: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Volumes {
    pub(super) step: Step,
    /// They were complete once: containers may run.
    pub(super) mounted: bool,
    /// Something they are made from has changed.
    pub(super) dirty: bool,
    pub(super) failures: u32,
    /// When a token in them wants to be renewed, monotonic ms.
    pub(super) refresh: Option<u64>,
}

pub struct Machine {
    pub pod: Arc<Pod>,
    pub containers: Vec<Container>,
    pub(super) sandbox: Sandbox,
    /// Since when the sandbox is in its state, monotonic ms.
    pub(super) sandbox_since: u64,
    pub(super) sandbox_attempt: u32,
    pub(super) sandbox_failures: u32,
    pub ips: Vec<String>,
    /// Milliseconds since the epoch.
    pub start_time: i64,
    pub(super) volumes: Volumes,
    pub(super) ending: Option<Ending>,
    pub(super) torn_down: Step,
    pub(super) purged: Step,
    pub(super) deleted: Step,
    /// Every init container has done its work in this sandbox.
    pub(super) initialized: bool,
    /// The API holds a final status from an earlier life of the agent: it is not written again.
    pub(super) frozen: bool,
    /// What `Remove` was asked for already.
    pub(super) removing: BTreeSet<String>,
    /// Every sandbox of the pod that the runtime was ever seen to hold.
    pub(super) known_sandboxes: BTreeSet<String>,
    wake: Option<u64>,
}

impl Machine {
    /// A pod that is new to the agent, with what the runtime already holds of it.
    pub fn new(pod: Arc<Pod>, observation: Option<&Observation>, now: Now) -> Self {
        let containers = roles(&pod).map(|(spec, role)| Container::new(spec, role)).collect();
        let stored_start = pod.status.get("startTime").and_then(|v| parse(v.as_str()?));
        let mut machine = Self {
            containers,
            sandbox: Sandbox::Absent,
            sandbox_since: now.mono,
            sandbox_attempt: 0,
            sandbox_failures: 0,
            ips: Vec::new(),
            start_time: stored_start.unwrap_or(now.wall),
            volumes: Volumes { step: Step::Todo, mounted: false, dirty: false, failures: 0, refresh: None },
            ending: None,
            torn_down: Step::Todo,
            purged: Step::Todo,
            deleted: Step::Todo,
            initialized: false,
            frozen: false,
            removing: BTreeSet::new(),
            known_sandboxes: BTreeSet::new(),
            wake: None,
            pod,
        };
        machine.adopt(observation, now);
        machine
    }

    /// A pod that may not run here: it is Failed from the start.
    pub fn reject(&mut self, reason: &'static str, message: &str) {
        self.end(Cause::Failed { reason, message: format!("Pod was rejected: {message}") });
    }

    /// A pod that the API does not know but the runtime does: it is only stopped and removed.
    pub fn orphan(pod: Arc<Pod>, observation: &Observation, now: Now) -> Self {
        let mut machine = Self::new(pod, Some(observation), now);
        machine.end(Cause::Gone);
        machine
    }

    /// Advances after `event`; the commands are to be performed in order.
    pub fn step(&mut self, event: PodEvent, now: Now) -> Vec<Command> {
        let mut out = Vec::new();
        self.wake = None;
        self.take(event, now, &mut out);
        if self.ending.is_some() {
            self.advance_ending(now, &mut out)
        } else {
            self.advance(now, &mut out)
        }
        out
    }

    /// When the machine wants its next [`PodEvent::Tick`] (monotonic ms).
    pub fn wake(&self) -> Option<u64> {
        self.wake
    }

    /// The pod's sandbox when it is up.
    pub fn sandbox(&self) -> Option<&SandboxSeen> {
        match &self.sandbox {
            Sandbox::Ready(seen) => Some(seen),
            _ => None,
        }
    }

    /// Whether the pod is on its way out.
    pub fn ending(&self) -> Option<&Cause> {
        self.ending.as_ref().map(|e| &e.cause)
    }

    /// Nothing of the pod runs or will run: it takes no room on the node.
    pub fn over(&self) -> bool {
        self.ending.is_some() && !self.containers.iter().any(|c| c.running() || c.starting())
    }

    pub(super) fn wake_at(&mut self, at: u64) {
        self.wake = Some(self.wake.map_or(at, |w| w.min(at)));
    }

    pub(super) fn end(&mut self, cause: Cause) {
        let spec_grace = self.pod.spec.termination_grace_period_seconds.unwrap_or(30);
        let grace_s = match cause {
            Cause::Completed | Cause::Failed { .. } => spec_grace,
            Cause::Deleted | Cause::Gone => self.pod.meta.deletion_grace_period_seconds.unwrap_or(spec_grace),
        };
        match &mut self.ending {
            Some(ending) => {
                ending.grace_s = ending.grace_s.min(grace_s);
                // A failure stays the pod's last word when it is then deleted.
                if !matches!((&ending.cause, &cause), (Cause::Deleted, Cause::Deleted)) {
                    ending.cause = cause;
                }
            }
            None => self.ending = Some(Ending { cause, grace_s }),
        }
    }

    fn take(&mut self, event: PodEvent, now: Now, out: &mut Vec<Command>) {
        match event {
            PodEvent::Updated(pod) => self.updated(pod),
            PodEvent::Gone => self.end(Cause::Gone),
            PodEvent::Observed(observation) => self.observe(&observation, now, out),
            PodEvent::VolumesMounted(result) => self.volumes_mounted(result, now, out),
            PodEvent::SandboxCreated(result) => self.sandbox_created(result, now, out),
            PodEvent::SandboxStopped(result) => self.sandbox_stopped(result, now),
            PodEvent::ContainerStarted { name, result } => self.container_started(&name, result, now, out),
            PodEvent::ContainerStopped { id, result } => self.container_stopped(&id, result, now),
            PodEvent::PostStarted { id, result } => self.post_started(&id, result, out),
            PodEvent::Probed { id, result } => self.probed(&id, result, now, out),
            PodEvent::ReferencesChanged => self.references_changed(),
            PodEvent::TornDown(result) => {
                self.torn_down = if result.is_ok() { Step::Done } else { Step::Retry(now.mono + 1000) };
            }
            PodEvent::Purged => self.purged = Step::Done,
            PodEvent::ObjectDeleted => self.deleted = Step::Done,
            PodEvent::Tick => {}
        }
    }

    fn updated(&mut self, pod: Arc<Pod>) {
        if pod.meta.labels != self.pod.meta.labels || pod.meta.annotations != self.pod.meta.annotations {
            self.volumes.dirty = true;
        }
        self.pod = pod;
        if self.pod.deleting() {
            self.end(Cause::Deleted);
        }
    }

    fn references_changed(&mut self) {
        self.volumes.dirty = true;
        if let Step::Retry(_) = self.volumes.step {
            self.volumes.step = Step::Todo;
        }
        for container in &mut self.containers {
            if container.hold.as_ref().is_some_and(|h| h.reason == "CreateContainerConfigError") {
                container.hold = None;
            }
        }
    }

    fn volumes_mounted(&mut self, result: Result<Option<u64>, Failure>, now: Now, out: &mut Vec<Command>) {
        match result {
            Ok(refresh) => {
                self.volumes = Volumes {
                    refresh,
                    step: Step::Done,
                    mounted: true,
                    dirty: self.volumes.dirty,
                    failures: 0,
                };
            }
            Err(failure) => {
                // 0.5 s, doubled up to 2 minutes.
                let delay = (500u64 << self.volumes.failures.min(8)).min(120_000);
                self.volumes.failures += 1;
                self.volumes.step = Step::Retry(now.mono + delay);
                out.push(record(true, "FailedMount", failure.message, None));
            }
        }
    }

    fn sandbox_created(&mut self, result: Result<SandboxSeen, Failure>, now: Now, out: &mut Vec<Command>) {
        match result {
            Ok(seen) => {
                self.ips.clone_from(&seen.ips);
                self.known_sandboxes.insert(seen.id.clone());
                self.sandbox_failures = 0;
                self.set_sandbox(Sandbox::Ready(seen), now);
            }
            Err(failure) => {
                let delay = (500u64 << self.sandbox_failures.min(6)).min(10_000);
                self.sandbox_failures += 1;
                self.set_sandbox(Sandbox::Failed { until: now.mono + delay }, now);
                let what = match failure.reason {
                    CLAIMS => "Failed to prepare dynamic resources",
                    _ => "Failed to create pod sandbox",
                };
                out.push(record(true, failure.reason, format!("{what}: {}", failure.message), None));
            }
        }
    }

    fn sandbox_stopped(&mut self, result: Result<(), Failure>, now: Now) {
        let Sandbox::Stopping(seen) = &self.sandbox else { return };
        let next = if result.is_ok() { Sandbox::Stopped } else { Sandbox::Lost(seen.clone()) };
        self.set_sandbox(next, now);
    }

    pub(super) fn set_sandbox(&mut self, sandbox: Sandbox, now: Now) {
        self.sandbox = sandbox;
        self.sandbox_since = now.mono;
    }

    /// Takes over what an earlier life of the agent left running, so that nothing is started twice.
    fn adopt(&mut self, observation: Option<&Observation>, now: Now) {
        if matches!(self.pod.stored_phase(), "Succeeded" | "Failed") {
            self.frozen = true;
            self.end(Cause::Completed);
        }
        let pod = Arc::clone(&self.pod);
        if let Some(observation) = observation {
            self.known_sandboxes.extend(observation.sandboxes.iter().map(|s| s.id.clone()));
            let newest = observation.sandboxes.iter().max_by_key(|s| (s.attempt, s.created));
            if let Some(seen) = newest {
                self.sandbox_attempt = seen.attempt + 1;
                self.ips.clone_from(&seen.ips);
                let state =
                    if seen.ready { Sandbox::Ready(seen.clone()) } else { Sandbox::Lost(seen.clone()) };
                self.sandbox = state;
            }
            for index in 0..self.containers.len() {
                self.adopt_container(index, &pod, &observation.containers, now);
            }
        }
        let sandbox = self.sandbox().map(|s| s.id.clone());
        self.initialized = sandbox.is_some()
            && self
                .containers
                .iter()
                .any(|c| c.role == Role::App && c.seen().map(|s| &s.sandbox) == sandbox.as_ref());
        if self.pod.deleting() {
            self.end(Cause::Deleted);
        }
    }

    fn adopt_container(&mut self, index: usize, pod: &Pod, seen: &[ContainerSeen], now: Now) {
        let container = &mut self.containers[index];
        let Some(spec) = pod.container(&container.name) else { return };
        let mut mine: Vec<&ContainerSeen> = seen.iter().filter(|s| s.name == container.name).collect();
        mine.sort_by_key(|s| (s.restart_count, s.created));
        // A container that was created and never started is made anew.
        let newest = mine.iter().rposition(|s| s.state != RunState::Created);
        let stored = pod.stored_container_status(&container.name);
        let Some(newest) = newest else {
            let count = stored.and_then(|s| s.get("restartCount")?.as_u64()).unwrap_or(0);
            let ran = stored.is_some_and(|s| s.get("containerID").is_some());
            container.restart_count = u32::try_from(count).unwrap_or(0) + u32::from(ran);
            return;
        };
        container.last = newest.checked_sub(1).map(|i| mine[i].clone());
        let current = mine[newest].clone();
        if current.state == RunState::Exited {
            container.restart_count = current.restart_count;
            container.end(current, now);
            return;
        }
        container.begin(current, spec, false, now);
        let flag = |name: &str| stored.and_then(|s| s.get(name)?.as_bool()).unwrap_or(false);
        container.startup_done |= flag("started");
        container.settle(spec);
        // The stored word holds until a probe says otherwise: an agent restart drops no endpoint.
        container.ready |= container.started && flag("ready");
    }

    pub(super) fn container_index(&self, id: &str) -> Option<usize> {
        self.containers.iter().position(|c| c.id() == Some(id))
    }

    /// Whether a container that ended is to run again.
    pub(super) fn restarts(&self, container: &Container) -> bool {
        let Some(code) = container.exit_code() else { return false };
        let Some(spec) = self.pod.container(&container.name) else { return false };
        restarts(spec, container.role, self.pod.spec.restart_policy, code)
            || (container.role == Role::App && self.definition_changed(container))
    }

    /// The pod's spec now names another image than the container was made from.
    pub(super) fn definition_changed(&self, container: &Container) -> bool {
        let Some(spec) = self.pod.container(&container.name) else { return false };
        container.seen().is_some_and(|s| !s.hash.is_empty() && s.hash != definition_hash(spec))
    }

    /// Whether nothing of the pod will ever run again.
    pub(super) fn complete(&self) -> bool {
        if self.containers.iter().any(Container::starting) {
            return false;
        }
        let init_failed = self.containers.iter().any(|c| {
            c.role == Role::Init && c.exit_code().is_some_and(|code| code != 0) && !self.restarts(c)
        });
        let apps = || self.containers.iter().filter(|c| c.role == Role::App);
        let apps_over = apps().all(|c| matches!(c.state, State::Exited(_)) && !self.restarts(c));
        (init_failed && !self.initialized) || apps_over
    }
}

/// Every container of the spec with its role, init containers first.
pub fn roles(pod: &Pod) -> impl Iterator<Item = (&ContainerSpec, Role)> {
    let inits =
        pod.spec.init_containers.iter().map(|c| (c, if c.is_sidecar() { Role::Sidecar } else { Role::Init }));
    inits.chain(pod.spec.containers.iter().map(|c| (c, Role::App)))
}

pub(super) fn record(
    warning: bool,
    reason: &'static str,
    message: impl Into<String>,
    container: Option<&str>,
) -> Command {
    Command::Record { warning, reason, message: message.into(), container: container.map(str::to_owned) }
}
