//! A pod's status in Kubernetes' words, rendered from the machine's state.

use super::container::{Container, Role, State};
use super::event::ContainerSeen;
use super::machine::{Cause, Machine, Sandbox};
use super::quantity::Qos;
use super::time::rfc3339;
use serde_json::{Map, Value, json};

/// What of a status is not the pod's own.
pub struct Host<'a> {
    pub ips: &'a [String],
    /// Milliseconds since the epoch.
    pub now: i64,
}

impl Machine {
    /// The status as it is to be in the API; `None` while nothing is to be written. `previous` is what was
    /// written last (its transition times are kept where nothing changed).
    pub fn status(&self, previous: &Value, host: &Host<'_>) -> Option<Value> {
        if self.frozen {
            return None;
        }
        let phase = self.phase();
        let mut status = json!({
            "observedGeneration": self.pod.meta.generation,
            "phase": phase,
            "qosClass": Qos::of(&self.pod).name(),
            "startTime": rfc3339(self.start_time),
            "hostIP": host.ips.first(),
            "hostIPs": host.ips.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>(),
            "conditions": self.conditions(phase, previous, host.now),
        });
        let ips = if self.pod.spec.host_network { host.ips } else { self.ips.as_slice() };
        if let Some(first) = ips.first()
            && (!self.pod.spec.host_network || !matches!(self.sandbox, Sandbox::Absent | Sandbox::Creating))
        {
            status["podIP"] = json!(first);
            status["podIPs"] = ips.iter().map(|ip| json!({"ip": ip})).collect();
        }
        if let Some(Cause::Failed { reason, message }) = self.ending() {
            status["reason"] = json!(reason);
            status["message"] = json!(message);
        }
        let list = |wanted: &dyn Fn(Role) -> bool| -> Vec<Value> {
            self.containers.iter().filter(|c| wanted(c.role)).map(|c| self.container_status(c)).collect()
        };
        let inits = list(&|role| role != Role::App);
        if !inits.is_empty() {
            status["initContainerStatuses"] = Value::Array(inits);
        }
        status["containerStatuses"] = Value::Array(list(&|role| role == Role::App));
        Some(status)
    }

    /// The pod's phase.
    pub fn phase(&self) -> &'static str {
        if matches!(self.ending(), Some(Cause::Failed { .. })) {
            return if self.stopped() { "Failed" } else { self.phase_of_containers(false) };
        }
        self.phase_of_containers(self.ending.is_some() && self.stopped())
    }

    fn stopped(&self) -> bool {
        !self.containers.iter().any(|c| c.running() || c.starting())
    }

    fn phase_of_containers(&self, terminal: bool) -> &'static str {
        let mut pending = false;
        for init in self.containers.iter().filter(|c| c.role == Role::Init) {
            match init.exit_code() {
                Some(0) => {}
                Some(_) if !self.restarts(init) && !self.initialized => return "Failed",
                _ => pending |= !self.initialized,
            }
        }
        let apps: Vec<&Container> = self.containers.iter().filter(|c| c.role == Role::App).collect();
        let running = apps.iter().filter(|c| c.running()).count();
        let ended =
            apps.iter().filter(|c| !c.running() && (c.exit_code().is_some() || c.last.is_some())).count();
        let succeeded = apps.iter().filter(|c| c.exit_code() == Some(0)).count();
        let waiting = apps.len() - running - ended;
        if terminal && ended + waiting == apps.len() {
            return if succeeded == apps.len() { "Succeeded" } else { "Failed" };
        }
        if pending || waiting > 0 {
            return "Pending";
        }
        let goes_on = |c: &&&Container| c.exit_code().is_none() || self.restarts(c);
        match apps.iter().find(goes_on) {
            Some(_) => "Running",
            None if succeeded == apps.len() => "Succeeded",
            None => "Failed",
        }
    }

    fn conditions(&self, phase: &str, previous: &Value, now: i64) -> Vec<Value> {
        let names = |wanted: &dyn Fn(&Container) -> bool| -> Vec<&str> {
            self.containers.iter().filter(|c| wanted(c)).map(|c| c.name.as_str()).collect()
        };
        let uninitialized = names(&|c| c.role != Role::App && !self.initialized && !c.initialized());
        let unready = names(&|c| c.role != Role::Init && !c.ready);
        let over = matches!(phase, "Succeeded" | "Failed");
        let why = if !over {
            (!unready.is_empty()).then(|| {
                ("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" ")))
            })
        } else if phase == "Succeeded" {
            Some(("PodCompleted", String::new()))
        } else {
            Some(("PodFailed", String::new()))
        };
        let not_initialized = (!uninitialized.is_empty() && phase != "Succeeded").then(|| {
            (
                "ContainersNotInitialized",
                format!("containers with incomplete status: [{}]", uninitialized.join(" ")),
            )
        });
        let initialized = match not_initialized {
            None if phase == "Succeeded" => ("True", Some(("PodCompleted", String::new()))),
            None => ("True", None),
            some => ("False", some),
        };
        let ready = why.clone().or_else(|| self.missing_gate());
        let flag = |no: Option<(&'static str, String)>| (if no.is_some() { "False" } else { "True" }, no);
        let sandbox = if matches!(self.sandbox, Sandbox::Ready(_)) { "True" } else { "False" };
        [
            ("PodReadyToStartContainers", (sandbox, None)),
            ("Initialized", initialized),
            ("Ready", flag(ready)),
            ("ContainersReady", flag(why)),
            ("PodScheduled", ("True", None)),
        ]
        .into_iter()
        .map(|(kind, (status, why))| self.condition(kind, status, why, previous, now))
        .collect()
    }

    fn missing_gate(&self) -> Option<(&'static str, String)> {
        for gate in &self.pod.spec.readiness_gates {
            let kind = gate.condition_type.as_str();
            let held = stored_condition(&self.pod.status, kind);
            let message = match held {
                None => format!("corresponding condition of pod readiness gate \"{kind}\" does not exist."),
                Some(c) if c.get("status").and_then(Value::as_str) != Some("True") => {
                    let status = c.get("status").and_then(Value::as_str).unwrap_or("");
                    format!("the status of pod readiness gate \"{kind}\" is not \"True\", but {status}")
                }
                Some(_) => continue,
            };
            return Some(("ReadinessGatesNotReady", message));
        }
        None
    }

    fn condition(
        &self,
        kind: &str,
        status: &str,
        why: Option<(&'static str, String)>,
        previous: &Value,
        now: i64,
    ) -> Value {
        let held = stored_condition(previous, kind);
        let since = held
            .filter(|c| c.get("status").and_then(Value::as_str) == Some(status))
            .and_then(|c| c.get("lastTransitionTime")?.as_str().map(str::to_owned))
            .unwrap_or_else(|| rfc3339(now));
        let mut condition = json!({
            "type": kind,
            "status": status,
            "observedGeneration": self.pod.meta.generation,
            "lastTransitionTime": since,
        });
        if let Some((reason, message)) = why {
            condition["reason"] = json!(reason);
            if !message.is_empty() {
                condition["message"] = json!(message);
            }
        }
        condition
    }

    fn container_status(&self, container: &Container) -> Value {
        let spec = self.pod.container(&container.name);
        let image = spec.map_or("", |s| s.image.as_str());
        let seen = container.seen().or(container.last.as_ref());
        let mut status = Map::new();
        status.insert("name".into(), json!(container.name));
        status.insert("state".into(), self.state(container));
        let last = if backing_off(container) { container.seen() } else { container.last.as_ref() };
        status.insert("lastState".into(), last.map_or(json!({}), |s| json!({"terminated": terminated(s)})));
        let ready = match container.role {
            Role::Init => container.exit_code() == Some(0),
            Role::App | Role::Sidecar => container.ready,
        };
        status.insert("ready".into(), json!(ready));
        status.insert("restartCount".into(), json!(container.restart_count));
        let image_name = seen.map_or(image, |s| if s.image.is_empty() { image } else { s.image.as_str() });
        status.insert("image".into(), json!(image_name));
        status.insert("imageID".into(), json!(seen.map_or("", |s| s.image_id.as_str())));
        if let Some(seen) = seen {
            status.insert("containerID".into(), json!(container_id(seen)));
        }
        status.insert("started".into(), json!(container.started));
        Value::Object(status)
    }

    fn state(&self, container: &Container) -> Value {
        match &container.state {
            State::Running(seen) => json!({"running": {"startedAt": rfc3339(seen.started)}}),
            State::Exited(seen) if !backing_off(container) => json!({"terminated": terminated(seen)}),
            _ => self.waiting(container),
        }
    }

    fn waiting(&self, container: &Container) -> Value {
        if let Some(hold) = &container.hold {
            return json!({"waiting": {"reason": hold.reason, "message": hold.message}});
        }
        // Also of the init containers themselves, and for as long as the pod lives.
        let has_inits = self.containers.iter().any(|c| c.role != Role::App);
        let reason = if has_inits { "PodInitializing" } else { "ContainerCreating" };
        json!({"waiting": {"reason": reason}})
    }
}

fn backing_off(container: &Container) -> bool {
    matches!(container.state, State::Exited(_))
        && container.hold.as_ref().is_some_and(|h| h.reason == "CrashLoopBackOff")
}

fn container_id(seen: &ContainerSeen) -> String {
    format!("containerd://{}", seen.id)
}

fn terminated(seen: &ContainerSeen) -> Value {
    let reason = match (seen.reason.as_str(), seen.exit_code) {
        ("", 0) => "Completed",
        ("", _) => "Error",
        (reason, _) => reason,
    };
    let mut state = json!({
        "exitCode": seen.exit_code,
        "reason": reason,
        "containerID": container_id(seen),
    });
    for (name, time) in [("startedAt", seen.started), ("finishedAt", seen.finished)] {
        if time > 0 {
            state[name] = json!(rfc3339(time));
        }
    }
    if !seen.message.is_empty() {
        state["message"] = json!(seen.message);
    }
    state
}

fn stored_condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status.get("conditions")?.as_array()?.iter().find(|c| c.get("type").and_then(Value::as_str) == Some(kind))
}
