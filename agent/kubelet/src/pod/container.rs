//! One container of a pod: what is known of it and what it waits for.

use super::backoff::Backoff;
use super::event::ContainerSeen;
use super::probe::Probe;
use super::spec::ContainerSpec;
use super::time::Now;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Init,
    Sidecar,
    App,
}

/// The present incarnation of a container.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Not made yet, or the last attempt to start it failed.
    Waiting,
    /// An executor is at it.
    Starting,
    Running(ContainerSeen),
    Exited(ContainerSeen),
}

/// Why a running container is being stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopping {
    /// Seconds, as asked for last.
    pub grace_s: i64,
    /// The stop call is under way.
    pub busy: bool,
}

/// Why a start did not happen, and when to try again (monotonic ms).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub reason: &'static str,
    pub message: String,
    pub since: u64,
    pub until: u64,
}

#[derive(Clone, Debug)]
pub struct Container {
    pub name: String,
    pub role: Role,
    pub state: State,
    /// Since when the state holds, monotonic ms.
    pub since: u64,
    /// The incarnation before, when it ended.
    pub last: Option<ContainerSeen>,
    /// Of the present incarnation, or of the next when there is none.
    pub restart_count: u32,
    pub backoff: Backoff,
    pub image_backoff: Backoff,
    pub hold: Option<Hold>,
    /// Starts in a row that failed before the container ran.
    pub failures: u32,
    pub probes: Vec<Probe>,
    /// The startup probe succeeded (or there is none) and the postStart hook is over.
    pub started: bool,
    pub hook_busy: bool,
    pub startup_done: bool,
    pub ready: bool,
    pub stopping: Option<Stopping>,
}

impl Container {
    pub fn new(spec: &ContainerSpec, role: Role) -> Self {
        Self {
            name: spec.name.clone(),
            role,
            state: State::Waiting,
            since: 0,
            last: None,
            restart_count: 0,
            backoff: Backoff::default(),
            image_backoff: Backoff::default(),
            hold: None,
            failures: 0,
            probes: Vec::new(),
            started: false,
            hook_busy: false,
            startup_done: false,
            ready: false,
            stopping: None,
        }
    }

    pub fn seen(&self) -> Option<&ContainerSeen> {
        match &self.state {
            State::Running(seen) | State::Exited(seen) => Some(seen),
            State::Waiting | State::Starting => None,
        }
    }

    pub fn id(&self) -> Option<&str> {
        self.seen().map(|s| s.id.as_str())
    }

    pub fn running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    pub fn starting(&self) -> bool {
        matches!(self.state, State::Starting)
    }

    pub fn exit_code(&self) -> Option<i32> {
        match &self.state {
            State::Exited(seen) => Some(seen.exit_code),
            _ => None,
        }
    }

    /// An init container that has done its work, or a sidecar that is up.
    pub fn initialized(&self) -> bool {
        match self.role {
            Role::Init => self.exit_code() == Some(0),
            Role::Sidecar => self.running() && self.started,
            Role::App => true,
        }
    }

    /// The container runs: probes begin, readiness is known for what has no probe.
    pub fn begin(&mut self, seen: ContainerSeen, spec: &ContainerSpec, hook: bool, now: Now) {
        let started = now.mono_of(if seen.started > 0 { seen.started } else { now.wall });
        self.probes = Probe::all(spec, started, now.mono);
        self.restart_count = seen.restart_count;
        self.startup_done = spec.startup_probe.is_none();
        self.hook_busy = hook;
        self.hold = None;
        self.stopping = None;
        self.image_backoff = Backoff::default();
        self.state = State::Running(seen);
        self.since = now.mono;
        self.settle(spec);
    }

    /// Derives `started` and, without a readiness probe, `ready`.
    pub fn settle(&mut self, spec: &ContainerSpec) {
        self.started = self.running() && self.startup_done && !self.hook_busy;
        if !self.started {
            self.ready = false;
        } else if spec.readiness_probe.is_none() {
            self.ready = true;
        }
    }

    /// The container ended.
    pub fn end(&mut self, seen: ContainerSeen, now: Now) {
        self.state = State::Exited(seen);
        self.since = now.mono;
        self.probes.clear();
        self.started = false;
        self.startup_done = false;
        self.hook_busy = false;
        self.ready = false;
        self.stopping = None;
    }

    /// Back to waiting for a start; the present incarnation becomes the last one.
    pub fn renew(&mut self, now: Now) {
        if let State::Exited(seen) = std::mem::replace(&mut self.state, State::Waiting) {
            self.restart_count = seen.restart_count + 1;
            self.last = Some(seen);
        }
        self.since = now.mono;
    }
}
