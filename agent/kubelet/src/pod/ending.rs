//! A pod on its way out: containers, sandbox, volumes, API object, in this order.

use super::container::{Container, Role};
use super::event::Command;
use super::machine::{Cause, Machine, Sandbox, Step};
use super::probe::ProbeKind;
use super::time::Now;

impl Machine {
    pub(super) fn advance_ending(&mut self, now: Now, out: &mut Vec<Command>) {
        let Some(ending) = self.ending.clone() else { return };
        self.stop_all(ending.grace_s, out);
        // Endpoints of a terminating pod still want to know whether it serves.
        self.run_probes(now, out, |kind| kind == ProbeKind::Readiness);
        if self.containers.iter().any(|c| c.running() || c.starting()) || self.volumes.step == Step::Busy {
            return;
        }
        if !self.close_sandbox(now, out) {
            return;
        }
        if self.torn_down.due(now.mono) {
            self.torn_down = Step::Busy;
            out.push(Command::TearDown { sandboxes: self.sandboxes() });
        }
        match self.torn_down {
            Step::Done => self.leave(&ending.cause, out),
            Step::Retry(at) => self.wake_at(at),
            Step::Todo | Step::Busy => {}
        }
    }

    /// App containers first, then the sidecars from the last to the first.
    fn stop_all(&mut self, grace_s: i64, out: &mut Vec<Command>) {
        let alive = |c: &Container| c.running() || c.starting();
        let others = self.containers.iter().any(|c| c.role != Role::Sidecar && alive(c));
        for index in (0..self.containers.len()).rev() {
            let container = &self.containers[index];
            if container.role == Role::Sidecar && others {
                continue;
            }
            let stop_next = alive(container);
            let message = format!("Stopping container {}", container.name);
            let is_sidecar = container.role == Role::Sidecar;
            self.stop(index, grace_s, &message, out);
            if is_sidecar && stop_next {
                return;
            }
        }
    }

    /// True when no sandbox is up any more.
    fn close_sandbox(&mut self, now: Now, out: &mut Vec<Command>) -> bool {
        match &self.sandbox {
            Sandbox::Absent | Sandbox::Stopped | Sandbox::Failed { .. } => true,
            Sandbox::Creating | Sandbox::Stopping(_) => false,
            Sandbox::Lost(seen) if seen.id.is_empty() => true,
            Sandbox::Ready(seen) | Sandbox::Lost(seen) => {
                let seen = seen.clone();
                out.push(Command::StopSandbox { id: seen.id.clone() });
                self.set_sandbox(Sandbox::Stopping(seen), now);
                false
            }
        }
    }

    /// All that the runtime was ever seen to hold of the pod.
    fn sandboxes(&self) -> Vec<String> {
        self.known_sandboxes.iter().cloned().collect()
    }

    fn leave(&mut self, cause: &Cause, out: &mut Vec<Command>) {
        if !matches!(cause, Cause::Deleted | Cause::Gone) {
            return;
        }
        if self.purged == Step::Todo {
            self.purged = Step::Busy;
            out.push(Command::Purge { sandboxes: self.sandboxes() });
        }
        if *cause == Cause::Deleted && self.deleted == Step::Todo {
            self.deleted = Step::Busy;
            out.push(Command::DeleteObject);
        }
        let object_gone = *cause == Cause::Gone || self.deleted == Step::Done;
        if self.purged == Step::Done && object_gone {
            out.push(Command::Forget);
        }
    }
}
