//! What a listing of the runtime changes in the pod's state, and what it shows to be litter.

use super::container::{Container, State};
use super::event::{Command, ContainerSeen, Observation, RunState, SandboxSeen};
use super::machine::{Machine, Sandbox};
use super::time::Now;

/// The exit code of a container of which nothing is known any more.
const EXIT_UNKNOWN: i32 = 137;

impl Machine {
    pub(super) fn observe(&mut self, observation: &Observation, now: Now, out: &mut Vec<Command>) {
        self.observe_sandbox(observation, now);
        for container in &mut self.containers {
            observe_container(container, observation, now);
        }
        self.known_sandboxes.extend(observation.sandboxes.iter().map(|s| s.id.clone()));
        self.sweep(observation, out);
    }

    fn observe_sandbox(&mut self, observation: &Observation, now: Now) {
        let Sandbox::Ready(current) = &self.sandbox else { return };
        match observation.sandboxes.iter().find(|s| s.id == current.id) {
            Some(seen) if seen.ready && seen.ips.is_empty() => {}
            Some(seen) if seen.ready => self.ips.clone_from(&seen.ips),
            Some(seen) => self.set_sandbox(Sandbox::Lost(seen.clone()), now),
            // A listing older than the sandbox says nothing about it.
            None if observation.listed > self.sandbox_since => {
                self.set_sandbox(Sandbox::Lost(SandboxSeen::default()), now);
            }
            None => {}
        }
    }

    /// Asks for the removal of containers and sandboxes that nobody will look at again.
    fn sweep(&mut self, observation: &Observation, out: &mut Vec<Command>) {
        let mut containers = Vec::new();
        let mut kept_sandboxes: Vec<&str> = Vec::new();
        for seen in &observation.containers {
            if self.wants(seen, observation.listed) {
                kept_sandboxes.push(&seen.sandbox);
            } else if !self.removing.contains(&seen.id) {
                containers.push(seen.id.clone());
            }
        }
        let busy = matches!(self.sandbox, Sandbox::Creating | Sandbox::Stopping(_));
        let newest =
            observation.sandboxes.iter().max_by_key(|s| (s.attempt, s.created)).map(|s| s.id.as_str());
        let current = self.sandbox().map(|s| s.id.as_str()).or(newest);
        let sandboxes: Vec<String> = observation
            .sandboxes
            .iter()
            .filter(|s| !busy && Some(s.id.as_str()) != current && !kept_sandboxes.contains(&s.id.as_str()))
            .filter(|s| !self.removing.contains(&s.id))
            .map(|s| s.id.clone())
            .collect();
        if containers.is_empty() && sandboxes.is_empty() {
            return;
        }
        self.removing.extend(containers.iter().cloned());
        self.removing.extend(sandboxes.iter().cloned());
        out.push(Command::Remove { containers, sandboxes });
    }

    /// The present incarnation of each container, the one before, and what is being made are kept.
    fn wants(&self, seen: &ContainerSeen, listed: u64) -> bool {
        let Some(container) = self.containers.iter().find(|c| c.name == seen.name) else { return false };
        container.starting()
            || container.id() == Some(seen.id.as_str())
            || container.last.as_ref().is_some_and(|l| l.id == seen.id)
            || listed <= container.since
    }
}

fn observe_container(container: &mut Container, observation: &Observation, now: Now) {
    let State::Running(current) = &mut container.state else { return };
    match observation.containers.iter().find(|s| s.id == current.id) {
        Some(seen) if seen.state == RunState::Exited => {
            let seen = seen.clone();
            container.end(seen, now);
        }
        Some(_) => {}
        None if observation.listed > container.since => {
            let lost = ContainerSeen {
                finished: now.wall,
                exit_code: EXIT_UNKNOWN,
                reason: "ContainerStatusUnknown".to_owned(),
                message: "The container could not be located when the pod was terminated".to_owned(),
                state: RunState::Exited,
                ..current.clone()
            };
            container.end(lost, now);
        }
        None => {}
    }
}
