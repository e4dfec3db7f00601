//! The row of a pod in its Table form: how kubectl users know what a pod does.

use super::super::row;
use crate::time;
use crate::validation::value::{at, flag, has, int, list, text};
use serde_json::Value;

/// What the statuses of a pod's containers add up to.
struct Summary {
    /// What the STATUS column says.
    reason: String,
    restarts: i64,
    last_restart: Option<i64>,
    ready: usize,
}

pub(super) fn cells(object: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (at(object, "spec"), at(object, "status"));
    let sidecars = list(spec, "initContainers").iter().filter(|container| is_sidecar(container)).count();
    let total = list(spec, "containers").len() + sidecars;
    let mut summary = summarize(spec, status);
    if has(at(object, "metadata"), "deletionTimestamp") {
        if text(status, "reason") == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if !matches!(text(status, "phase"), "Succeeded" | "Failed") {
            summary.reason = "Terminating".to_owned();
        }
    }
    let restarts = match summary.last_restart {
        Some(then) if summary.restarts != 0 => {
            let ago = crate::age::human_duration(now.saturating_sub(then));
            format!("{} ({ago} ago)", summary.restarts)
        }
        _ => summary.restarts.to_string(),
    };
    vec![
        row::name(object),
        format!("{}/{total}", summary.ready).into(),
        summary.reason.into(),
        restarts.into(),
        row::age(object, now),
        row::or_none(list(status, "podIPs").first().map(|ip| text(ip, "ip")).unwrap_or_default()),
        row::or_none(text(spec, "nodeName")),
        row::or_none(text(status, "nominatedNodeName")),
        readiness_gates(spec, status).into(),
    ]
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    list(status, "conditions").iter().find(|condition| text(condition, "type") == kind)
}

fn is_true(status: &Value, kind: &str) -> bool {
    condition(status, kind).is_some_and(|condition| text(condition, "status") == "True")
}

fn summarize(spec: &Value, status: &Value) -> Summary {
    let mut summary =
        Summary { reason: text(status, "phase").to_owned(), restarts: 0, last_restart: None, ready: 0 };
    if !text(status, "reason").is_empty() {
        summary.reason = text(status, "reason").to_owned();
    }
    if condition(status, "PodScheduled").is_some_and(|c| text(c, "reason") == "SchedulingGated") {
        summary.reason = "SchedulingGated".to_owned();
    }
    let mut sidecars = Summary { reason: String::new(), restarts: 0, last_restart: None, ready: 0 };
    let initializing = init_containers(spec, status, &mut summary, &mut sidecars);
    if !initializing || is_true(status, "Initialized") {
        // Restarts of ordinary init containers are of no interest once they are done.
        summary.restarts = sidecars.restarts;
        summary.last_restart = sidecars.last_restart;
        app_containers(status, &mut summary);
    }
    summary
}

/// Counts the restarts of one container.
fn count_restarts(container: &Value, summary: &mut Summary) {
    summary.restarts += int(container, "restartCount").unwrap_or_default();
    let finished = text(at(at(container, "lastState"), "terminated"), "finishedAt");
    if let Ok(finished) = time::parse(finished) {
        summary.last_restart = summary.last_restart.max(Some(finished));
    }
}

/// `Signal:9` or `ExitCode:1`, for a container that ended without a reason.
fn exit(terminated: &Value) -> String {
    match int(terminated, "signal") {
        Some(signal) if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", int(terminated, "exitCode").unwrap_or_default()),
    }
}

/// Goes through the init containers up to the first that is not done; returns whether there is one.
fn init_containers(spec: &Value, status: &Value, summary: &mut Summary, sidecars: &mut Summary) -> bool {
    let specs = list(spec, "initContainers");
    for (index, container) in list(status, "initContainerStatuses").iter().enumerate() {
        count_restarts(container, summary);
        let name = text(container, "name");
        let sidecar = specs.iter().any(|spec| text(spec, "name") == name && is_sidecar(spec));
        if sidecar {
            count_restarts(container, sidecars);
        }
        let state = at(container, "state");
        let (terminated, waiting) = (at(state, "terminated"), text(at(state, "waiting"), "reason"));
        if terminated.is_object() && int(terminated, "exitCode").unwrap_or_default() == 0 {
            continue;
        }
        if sidecar && flag(container, "started") {
            summary.ready += usize::from(flag(container, "ready"));
            continue;
        }
        summary.reason = if terminated.is_object() {
            match text(terminated, "reason") {
                "" => format!("Init:{}", exit(terminated)),
                reason => format!("Init:{reason}"),
            }
        } else if !matches!(waiting, "" | "PodInitializing") {
            format!("Init:{waiting}")
        } else {
            format!("Init:{index}/{}", specs.len())
        };
        return true;
    }
    false
}

fn app_containers(status: &Value, summary: &mut Summary) {
    let mut running = false;
    // Backwards, so that the first container's reason is the one shown.
    for container in list(status, "containerStatuses").iter().rev() {
        count_restarts(container, summary);
        let state = at(container, "state");
        let (terminated, waiting) = (at(state, "terminated"), text(at(state, "waiting"), "reason"));
        if !waiting.is_empty() {
            summary.reason = waiting.to_owned();
        } else if terminated.is_object() {
            summary.reason = match text(terminated, "reason") {
                "" => exit(terminated),
                reason => reason.to_owned(),
            };
        } else if flag(container, "ready") && has(state, "running") {
            running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" && running {
        summary.reason = if is_true(status, "Ready") { "Running" } else { "NotReady" }.to_owned();
    }
}

fn readiness_gates(spec: &Value, status: &Value) -> String {
    let gates = list(spec, "readinessGates");
    if gates.is_empty() {
        return row::NONE.to_owned();
    }
    let passed = gates.iter().filter(|gate| is_true(status, text(gate, "conditionType"))).count();
    format!("{passed}/{}", gates.len())
}
