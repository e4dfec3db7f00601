//! A Deployment's status and conditions, in Kubernetes' words.

use super::rounding::{bounds, replicas};
use super::set::Set;
use jiff::Timestamp;
use keelson_client::views::{Condition, Deployment, DeploymentStatus, condition};
use std::time::Duration;

/// No deadline is written as the largest 32-bit number.
const NO_DEADLINE: i64 = i32::MAX as i64;

pub(super) struct StatusInput<'a> {
    pub(super) deployment: &'a Deployment,
    /// The conditions so far in this round.
    pub(super) conditions: &'a [Condition],
    pub(super) new: Option<&'a Set>,
    pub(super) old: &'a [Set],
    pub(super) now: Timestamp,
    /// Whether progress is judged: not while paused or scaling.
    pub(super) progress: bool,
    /// The name of the set that this round creates.
    pub(super) created: Option<&'a str>,
}

pub(super) fn deadline(deployment: &Deployment) -> Option<i64> {
    deployment.spec.progress_deadline_seconds.filter(|s| *s != NO_DEADLINE)
}

pub(super) fn has(conditions: &[Condition], r#type: &str) -> bool {
    condition(conditions, r#type).is_some()
}

pub(super) fn progressing(status: &str, reason: &str, message: String, now: Timestamp) -> Condition {
    new_condition("Progressing", status, reason, message, now)
}

fn new_condition(r#type: &str, status: &str, reason: &str, message: String, now: Timestamp) -> Condition {
    Condition {
        r#type: r#type.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_update_time: Some(now),
        last_transition_time: Some(now),
        ..Condition::default()
    }
}

/// Puts a condition in the place of the one of its type, unless status and reason stay the same; the time of
/// the last transition moves only with the status.
pub(super) fn set(conditions: &mut Vec<Condition>, mut new: Condition) {
    if let Some(old) = condition(conditions, &new.r#type) {
        if old.status == new.status && old.reason == new.reason {
            return;
        }
        if old.status == new.status {
            new.last_transition_time = old.last_transition_time;
        }
    }
    conditions.retain(|c| c.r#type != new.r#type);
    conditions.push(new);
}

/// Pausing and resuming show in `Progressing`, so that the deadline does not run meanwhile.
pub(super) fn check_paused(conditions: &mut Vec<Condition>, deployment: &Deployment, now: Timestamp) {
    if deadline(deployment).is_none() {
        return;
    }
    let reason = condition(conditions, "Progressing").map(|c| c.reason.clone()).unwrap_or_default();
    if reason == "ProgressDeadlineExceeded" {
        return;
    }
    let (paused, was_paused) = (deployment.spec.paused, reason == "DeploymentPaused");
    if paused && !was_paused {
        set(conditions, progressing("Unknown", "DeploymentPaused", "Deployment is paused".into(), now));
    } else if !paused && was_paused {
        set(conditions, progressing("Unknown", "DeploymentResumed", "Deployment is resumed".into(), now));
    }
}

pub(super) fn status(input: &StatusInput<'_>) -> DeploymentStatus {
    let deployment = input.deployment;
    let all = || input.old.iter().chain(input.new).map(|s| &s.object.status);
    let available: i64 = all().map(|s| s.available_replicas).sum();
    let total: i64 = input.old.iter().chain(input.new).map(|s| s.size).sum();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: all().map(|s| s.replicas).sum(),
        updated_replicas: input.new.map_or(0, |s| s.object.status.replicas),
        ready_replicas: all().map(|s| s.ready_replicas).sum(),
        available_replicas: available,
        unavailable_replicas: (total - available).max(0),
        terminating_replicas: Some(all().filter_map(|s| s.terminating_replicas).sum()),
        conditions: input.conditions.to_vec(),
        collision_count: deployment.status.collision_count,
    };
    let enough = available >= replicas(deployment) - bounds(deployment).unavailable;
    let (value, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set(&mut status.conditions, new_condition("Available", value, reason, message.to_owned(), input.now));
    if input.progress {
        judge_progress(input, &mut status);
    }
    status
}

fn judge_progress(input: &StatusInput<'_>, status: &mut DeploymentStatus) {
    let deployment = input.deployment;
    if deadline(deployment).is_none() {
        status.conditions.retain(|c| c.r#type != "Progressing");
    } else if input.created.is_none() && !is_settled(status) {
        let what = match input.new {
            Some(new) => format!("ReplicaSet \"{}\"", new.name()),
            None => format!("Deployment \"{}\"", deployment.metadata.name),
        };
        if is_complete(deployment, status) {
            let message = format!("{what} has successfully progressed.");
            set(&mut status.conditions, progressing("True", "NewReplicaSetAvailable", message, input.now));
        } else if has_progressed(&deployment.status, status) {
            renew_progress(status, format!("{what} is progressing."), input.now);
        } else if timed_out(deployment, status, input.now) {
            let message = format!("{what} has timed out progressing.");
            set(&mut status.conditions, progressing("False", "ProgressDeadlineExceeded", message, input.now));
        }
    }
    copy_failure(input, status);
}

/// Done before, and nothing has changed since.
fn is_settled(status: &DeploymentStatus) -> bool {
    status.replicas == status.updated_replicas
        && condition(&status.conditions, "Progressing").is_some_and(|c| c.reason == "NewReplicaSetAvailable")
}

pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = replicas(deployment);
    status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.metadata.generation
}

fn has_progressed(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    new.updated_replicas > old.updated_replicas
        || new.replicas - new.updated_replicas < old.replicas - old.updated_replicas
        || new.ready_replicas > old.ready_replicas
        || new.available_replicas > old.available_replicas
}

/// The deadline counts from the last step forward, so each step renews the condition's update time.
fn renew_progress(status: &mut DeploymentStatus, message: String, now: Timestamp) {
    let mut new = progressing("True", "ReplicaSetUpdated", message, now);
    if let Some(old) = condition(&status.conditions, "Progressing")
        && old.status == new.status
    {
        new.last_transition_time = old.last_transition_time;
    }
    status.conditions.retain(|c| c.r#type != "Progressing");
    status.conditions.push(new);
}

fn timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    let Some(progress) = condition(&status.conditions, "Progressing") else { return false };
    match progress.reason.as_str() {
        "NewReplicaSetAvailable" => false,
        "ProgressDeadlineExceeded" => true,
        _ => seconds_left(deployment, progress, now).is_some_and(|left| left < 0),
    }
}

fn seconds_left(deployment: &Deployment, progress: &Condition, now: Timestamp) -> Option<i64> {
    Some(progress.last_update_time?.as_second() + deadline(deployment)? - now.as_second())
}

/// When to look again whether the deadline has passed.
pub(super) fn next_check(
    deployment: &Deployment,
    status: &DeploymentStatus,
    now: Timestamp,
) -> Option<Duration> {
    let progress = condition(&status.conditions, "Progressing")?;
    let finished = matches!(progress.reason.as_str(), "NewReplicaSetAvailable" | "ProgressDeadlineExceeded");
    if finished || deployment.spec.paused || deployment.metadata.is_deleting() {
        return None;
    }
    let left = seconds_left(deployment, progress, now)?;
    Some(Duration::from_secs(u64::try_from(left.max(0)).unwrap_or(0) + 1))
}

/// A set that cannot make its pods says so in `ReplicaFailure`; the new set's word counts most.
fn copy_failure(input: &StatusInput<'_>, status: &mut DeploymentStatus) {
    let failure = |set: &Set| condition(&set.object.status.conditions, "ReplicaFailure").cloned();
    match input.new.and_then(failure).or_else(|| input.old.iter().find_map(failure)) {
        None => status.conditions.retain(|c| c.r#type != "ReplicaFailure"),
        Some(f) => {
            set(&mut status.conditions, new_condition(&f.r#type, &f.status, &f.reason, f.message, input.now));
        }
    }
}
