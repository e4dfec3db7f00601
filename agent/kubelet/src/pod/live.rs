//! A pod that is to run: volumes, sandbox, init containers in order, then the app containers.

use super::container::{Container, Hold, Role, State, Stopping};
use super::event::{Command, ContainerSeen, Failure, ProbeResult, RunState, SandboxSeen};
use super::machine::{Cause, Machine, Sandbox, Step, record};
use super::probe::{ProbeKind, Verdict};
use super::time::Now;
use std::sync::Arc;

/// How long `ErrImagePull` is shown before `ImagePullBackOff` replaces it.
const IMAGE_ERROR_SHOWN_MS: u64 = 1000;
/// The longest pause between attempts to start a container that cannot be made.
const START_RETRY_MS_MAX: u64 = 10_000;

impl Machine {
    pub(super) fn advance(&mut self, now: Now, out: &mut Vec<Command>) {
        if self.past_deadline(now) {
            let message = "Pod was active on the node longer than the specified deadline".to_owned();
            out.push(record(false, "DeadlineExceeded", message.clone(), None));
            self.end(Cause::Failed { reason: "DeadlineExceeded", message });
            return self.advance_ending(now, out);
        }
        if self.complete() {
            self.end(Cause::Completed);
            return self.advance_ending(now, out);
        }
        self.mount(now, out);
        if !self.hold_sandbox(now, out) || !self.volumes.mounted {
            return;
        }
        self.replace_changed(out);
        self.run_probes(now, out, |_| true);
        self.start_next(now, out);
    }

    fn past_deadline(&mut self, now: Now) -> bool {
        let Some(seconds) = self.pod.spec.active_deadline_seconds else { return false };
        let left = self.start_time + seconds * 1000 - now.wall;
        if left > 0 {
            self.wake_at(now.mono + left.unsigned_abs());
        }
        left <= 0
    }

    fn mount(&mut self, now: Now, out: &mut Vec<Command>) {
        if self.volumes.step == Step::Done {
            match self.volumes.refresh {
                Some(at) if at <= now.mono => self.volumes.step = Step::Todo,
                Some(at) => self.wake_at(at),
                None => {}
            }
            if self.volumes.dirty {
                self.volumes.step = Step::Todo;
            }
        }
        if self.volumes.step.due(now.mono) {
            self.volumes.step = Step::Busy;
            self.volumes.dirty = false;
            out.push(Command::MountVolumes);
        } else if let Step::Retry(at) = self.volumes.step {
            self.wake_at(at);
        }
    }

    /// Brings the sandbox up; true when it is.
    fn hold_sandbox(&mut self, now: Now, out: &mut Vec<Command>) -> bool {
        match &self.sandbox {
            Sandbox::Ready(_) => return true,
            Sandbox::Creating | Sandbox::Stopping(_) => {}
            Sandbox::Failed { until } if now.mono < *until => {
                let until = *until;
                self.wake_at(until);
            }
            Sandbox::Absent | Sandbox::Stopped | Sandbox::Failed { .. } => {
                out.push(Command::CreateSandbox { attempt: self.sandbox_attempt });
                self.sandbox_attempt += 1;
                self.set_sandbox(Sandbox::Creating, now);
            }
            Sandbox::Lost(seen) => {
                let seen = seen.clone();
                self.leave_sandbox(seen, now, out);
            }
        }
        false
    }

    /// The sandbox is dead: its containers go first, then what is left of it, and all begins anew.
    fn leave_sandbox(&mut self, seen: SandboxSeen, now: Now, out: &mut Vec<Command>) {
        let grace = self.pod.spec.termination_grace_period_seconds.unwrap_or(30);
        for index in 0..self.containers.len() {
            let message = "Pod sandbox changed, it will be killed and re-created.";
            self.stop(index, grace, message, out);
        }
        if self.containers.iter().any(|c| c.running() || c.starting()) {
            return;
        }
        self.initialized = false;
        for container in &mut self.containers {
            if container.role == Role::Init {
                container.renew(now);
            }
        }
        out.push(record(
            false,
            "SandboxChanged",
            "Pod sandbox changed, it will be killed and re-created.",
            None,
        ));
        if seen.id.is_empty() {
            self.set_sandbox(Sandbox::Stopped, now);
            self.hold_sandbox(now, out);
        } else {
            out.push(Command::StopSandbox { id: seen.id.clone() });
            self.set_sandbox(Sandbox::Stopping(seen), now);
        }
    }

    fn replace_changed(&mut self, out: &mut Vec<Command>) {
        let grace = self.pod.spec.termination_grace_period_seconds.unwrap_or(30);
        for index in 0..self.containers.len() {
            let container = &self.containers[index];
            if container.running() && container.role != Role::Init && self.definition_changed(container) {
                let message = format!("Container {} definition changed, will be restarted", container.name);
                self.stop(index, grace, &message, out);
            }
        }
    }

    /// Stops a running container, or hurries a stop that is under way.
    pub(super) fn stop(&mut self, index: usize, grace_s: i64, message: &str, out: &mut Vec<Command>) {
        let pod = Arc::clone(&self.pod);
        let container = &mut self.containers[index];
        let State::Running(seen) = &container.state else { return };
        let first = container.stopping.is_none();
        if container.stopping.as_ref().is_some_and(|s| s.busy && s.grace_s <= grace_s) {
            return;
        }
        let hook = first && pod.container(&container.name).is_some_and(|s| s.lifecycle.pre_stop.is_some());
        out.push(Command::StopContainer {
            name: container.name.clone(),
            id: seen.id.clone(),
            grace_s,
            hook,
            message: if first { message.to_owned() } else { String::new() },
        });
        container.stopping = Some(Stopping { grace_s, busy: true });
    }

    /// Emits the probes that are due; `wanted` leaves some kinds out.
    pub(super) fn run_probes(
        &mut self,
        now: Now,
        out: &mut Vec<Command>,
        wanted: impl Fn(ProbeKind) -> bool,
    ) {
        let mut wake = Vec::new();
        for container in &mut self.containers {
            let State::Running(seen) = &container.state else { continue };
            if container.stopping.is_some() && !wanted(ProbeKind::Liveness) && container.role != Role::App {
                continue;
            }
            for probe in &mut container.probes {
                let in_turn = (probe.kind == ProbeKind::Startup) != container.startup_done;
                if !in_turn || !wanted(probe.kind) {
                    continue;
                }
                match probe.due() {
                    Some(due) if due <= now.mono => {
                        probe.begin(now.mono);
                        out.push(Command::Probe {
                            name: container.name.clone(),
                            id: seen.id.clone(),
                            kind: probe.kind,
                            ips: self.ips.clone(),
                        });
                    }
                    Some(due) => wake.push(due),
                    None => {}
                }
            }
        }
        for at in wake {
            self.wake_at(at);
        }
    }

    /// Starts what may start next: one container at a time, in the order of the spec.
    fn start_next(&mut self, now: Now, out: &mut Vec<Command>) {
        if self.containers.iter().any(|c| c.starting() || (c.running() && c.hook_busy)) {
            return;
        }
        if !self.initialized {
            for index in 0..self.containers.len() {
                let container = &self.containers[index];
                if container.role == Role::App {
                    break;
                }
                if container.initialized() {
                    continue;
                }
                if !container.running() {
                    self.try_start(index, now, out);
                }
                return;
            }
            self.initialized = true;
        }
        for index in 0..self.containers.len() {
            let container = &self.containers[index];
            let wanted = match container.state {
                State::Waiting => container.role != Role::Init,
                State::Exited(_) => container.role != Role::Init && self.restarts(container),
                State::Starting | State::Running(_) => false,
            };
            if wanted && self.try_start(index, now, out) {
                return;
            }
        }
    }

    /// Asks for a start unless the container is held back; true when it was asked for.
    fn try_start(&mut self, index: usize, now: Now, out: &mut Vec<Command>) -> bool {
        if let Some(until) = self.held(index, now, out) {
            self.wake_at(until);
            return false;
        }
        let Some(sandbox) = self.sandbox().map(|s| s.id.clone()) else { return false };
        let container = &mut self.containers[index];
        if let State::Exited(seen) = &container.state {
            let failed = now.mono_of(seen.finished);
            container.backoff.attempt(failed, now.mono);
            container.hold = None;
            container.renew(now);
        }
        container.state = State::Starting;
        container.since = now.mono;
        out.push(Command::StartContainer {
            name: container.name.clone(),
            attempt: container.restart_count,
            sandbox,
            ips: self.ips.clone(),
        });
        true
    }

    /// Until when the container must wait, if it must.
    fn held(&mut self, index: usize, now: Now, out: &mut Vec<Command>) -> Option<u64> {
        let place = format!("{}_{}({})", self.pod.meta.name, self.pod.meta.namespace, self.pod.meta.uid);
        let pod = Arc::clone(&self.pod);
        let container = &mut self.containers[index];
        if let State::Exited(seen) = &container.state {
            let failed = now.mono_of(seen.finished);
            let until = container.backoff.until(failed);
            if until <= now.mono {
                return None;
            }
            if container.hold.as_ref().is_none_or(|h| h.until != until) {
                let seconds = container.backoff.delay_ms(failed) / 1000;
                let delay = if seconds < 60 {
                    format!("{seconds}s")
                } else {
                    format!("{}m{}s", seconds / 60, seconds % 60)
                };
                let message =
                    format!("back-off {delay} restarting failed container={} pod={place}", container.name);
                out.push(record(
                    true,
                    "BackOff",
                    format!("Back-off restarting failed container {} in pod {place}", container.name),
                    Some(&container.name),
                ));
                container.hold = Some(Hold { reason: "CrashLoopBackOff", message, since: now.mono, until });
            }
            return Some(until);
        }
        let hold = container.hold.as_mut()?;
        if hold.until <= now.mono {
            return None;
        }
        if hold.reason == "ErrImagePull" {
            if now.mono < hold.since + IMAGE_ERROR_SHOWN_MS {
                return Some(hold.since + IMAGE_ERROR_SHOWN_MS);
            }
            let image = pod.container(&container.name).map_or("", |c| c.image.as_str());
            let text = format!("Back-off pulling image \"{image}\"");
            hold.message = format!("{text}: ErrImagePull: {}", hold.message);
            hold.reason = "ImagePullBackOff";
            out.push(record(false, "BackOff", text, Some(&container.name)));
            out.push(record(true, "Failed", "Error: ImagePullBackOff", Some(&container.name)));
        }
        Some(hold.until)
    }

    pub(super) fn container_started(
        &mut self,
        name: &str,
        result: Result<ContainerSeen, Failure>,
        now: Now,
        out: &mut Vec<Command>,
    ) {
        let pod = Arc::clone(&self.pod);
        let Some(spec) = pod.container(name) else { return };
        let Some(container) = self.containers.iter_mut().find(|c| c.name == name) else { return };
        match result {
            Ok(seen) if seen.state == RunState::Exited => container.end(seen, now),
            Ok(seen) => {
                let hook = spec.lifecycle.post_start.is_some();
                if hook {
                    out.push(Command::PostStart { name: name.to_owned(), id: seen.id.clone() });
                }
                container.failures = 0;
                container.begin(seen, spec, hook, now);
            }
            Err(failure) => refuse(container, failure, now, out),
        }
    }

    pub(super) fn container_stopped(&mut self, id: &str, result: Result<(), Failure>, now: Now) {
        let Some(index) = self.container_index(id) else { return };
        if let Some(stopping) = &mut self.containers[index].stopping {
            // The exit itself is reported by an observation. A stop that failed is asked for again.
            stopping.busy = result.is_ok();
            if result.is_err() {
                self.wake_at(now.mono + 1000);
            }
        }
    }

    pub(super) fn post_started(&mut self, id: &str, result: Result<(), String>, out: &mut Vec<Command>) {
        let pod = Arc::clone(&self.pod);
        let Some(index) = self.container_index(id) else { return };
        let container = &mut self.containers[index];
        container.hook_busy = false;
        let name = container.name.clone();
        if let Some(spec) = pod.container(&name) {
            container.settle(spec);
        }
        if let Err(message) = result {
            out.push(record(true, "FailedPostStartHook", message, Some(&name)));
            let grace = pod.spec.termination_grace_period_seconds.unwrap_or(30);
            self.stop(index, grace, "FailedPostStartHook", out);
        }
    }

    pub(super) fn probed(&mut self, id: &str, result: ProbeResult, now: Now, out: &mut Vec<Command>) {
        let ProbeResult { kind, success, output } = result;
        let pod = Arc::clone(&self.pod);
        let Some(index) = self.container_index(id) else { return };
        let container = &mut self.containers[index];
        let Some(spec) = pod.container(&container.name) else { return };
        let Some(probe) = container.probes.iter_mut().find(|p| p.kind == kind) else { return };
        if success == Some(false) {
            let message = format!("{} probe failed: {output}", kind.name());
            out.push(record(true, "Unhealthy", message, Some(&container.name)));
        }
        let verdict = probe.finish(success);
        match (kind, verdict) {
            (_, Verdict::Pending) | (ProbeKind::Liveness, Verdict::Success) => {}
            (ProbeKind::Startup, Verdict::Success) => {
                container.startup_done = true;
                container.probes.iter_mut().for_each(|p| p.hasten(now.mono));
                container.settle(spec);
            }
            (ProbeKind::Readiness, Verdict::Success) => container.ready = container.started,
            (ProbeKind::Readiness, Verdict::Failure) => container.ready = false,
            (ProbeKind::Startup | ProbeKind::Liveness, Verdict::Failure) => {
                let grace = kind
                    .of(spec)
                    .and_then(|p| p.termination_grace_period_seconds)
                    .or(pod.spec.termination_grace_period_seconds)
                    .unwrap_or(30);
                let word = kind.name().to_lowercase();
                let message = format!("Container {} failed {word} probe, will be restarted", container.name);
                self.stop(index, grace, &message, out);
            }
        }
    }
}

/// A start that failed before the container ran.
fn refuse(container: &mut Container, failure: Failure, now: Now, out: &mut Vec<Command>) {
    container.state = State::Waiting;
    container.since = now.mono;
    let until = if failure.reason == "ErrImagePull" {
        container.image_backoff.attempt(now.mono, now.mono);
        container.image_backoff.until(now.mono)
    } else {
        let delay = (1000u64 << container.failures.min(5)).min(START_RETRY_MS_MAX);
        container.failures += 1;
        now.mono + delay
    };
    let event = match failure.reason {
        "ErrImagePull" | "ErrImageNeverPull" | "InvalidImageName" | "ImageInspectError" => {
            format!("Error: {}", failure.reason)
        }
        _ => format!("Error: {}", failure.message),
    };
    out.push(record(true, "Failed", event, Some(&container.name)));
    container.hold = Some(Hold { reason: failure.reason, message: failure.message, since: now.mono, until });
}
