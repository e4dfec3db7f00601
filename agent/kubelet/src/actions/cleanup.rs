//! Removes what a pod leaves behind, in the runtime and on disk.

use super::Context;
use crate::cri::CriError;
use crate::pod::{Failure, Pod};
use crate::volume::teardown;
use std::sync::Arc;
use std::time::Duration;

/// Processes of a container that was just killed may linger in its cgroup for a moment.
const CGROUP_TRIES: u32 = 20;
const CGROUP_PAUSE: Duration = Duration::from_millis(25);
/// About a minute.
const REMOVE_TRIES: u32 = 6;
const REMOVE_PAUSE: Duration = Duration::from_secs(1);

/// Removes old containers and sandboxes. A busy runtime is asked again, but not for ever: what it keeps goes with the
/// pod.
pub(super) async fn remove(context: &Context, containers: &[String], sandboxes: &[String]) {
    for id in containers {
        let mut pause = REMOVE_PAUSE;
        for attempt in 1..=REMOVE_TRIES {
            match remove_container(context, id).await {
                Err(error) if !error.is_not_found() => {
                    tracing::warn!(container = id, attempt, %error, "an old container was not removed");
                }
                _ => break,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
    for id in sandboxes {
        remove_sandbox(context, id).await;
    }
}

async fn remove_container(context: &Context, id: &str) -> Result<(), CriError> {
    match context.cri.remove_container(id).await {
        Err(error) if error.is_precondition() => {
            end_task(context, id, &error).await;
            context.cri.remove_container(id).await
        }
        result => result,
    }
}

async fn remove_sandbox(context: &Context, id: &str) {
    let stopped = context.cri.stop_pod_sandbox(id).await;
    let mut removed = context.cri.remove_pod_sandbox(id).await;
    if let Err(error) = &removed
        && error.is_precondition()
    {
        // The error is about one of its containers, which it names in words only, or about itself.
        for container in context.cri.list_containers().await.unwrap_or_default() {
            if container.pod_sandbox_id == id {
                end_task(context, &container.id, error).await;
            }
        }
        end_task(context, id, error).await;
        removed = context.cri.remove_pod_sandbox(id).await;
    }
    for error in [stopped.err(), removed.err()].into_iter().flatten().filter(|e| !e.is_not_found()) {
        tracing::warn!(sandbox = id, %error, "a sandbox was not removed");
    }
}

/// Ends what is in the way of a removal: it was asked for, so nothing of `id` is wanted any more.
async fn end_task(context: &Context, id: &str, obstacle: &CriError) {
    let ended = context.cri.end_task(id).await;
    tracing::info!(id, %obstacle, ?ended, "a task of a container on its way out is ended");
}

/// Volumes, the pod's folder and its cgroup.
///
/// Nothing of the pod is known to run by now. What runs all the same is ended, by the runtime or else by the kernel: a
/// sandbox that an agent before this one had asked for and that came up after this one had looked, or a process that
/// the runtime has lost.
pub(super) async fn tear_down(
    context: &Arc<Context>,
    pod: &Arc<Pod>,
    sandboxes: &[String],
) -> Result<(), Failure> {
    context.tokens.forget(&pod.meta.uid);
    let failure = |message: String| {
        tracing::warn!(pod = pod.key(), message, "a pod was not torn down");
        Failure::new("FailedTearDown", message)
    };
    let mut removed = remove_cgroup(context, pod).await;
    if removed.is_err() && !sandboxes.is_empty() {
        for id in sandboxes {
            let stopped = context.cri.stop_pod_sandbox(id).await;
            tracing::info!(pod = pod.key(), sandbox = id, ?stopped, "something of the pod still runs");
        }
        removed = remove_cgroup(context, pod).await;
    }
    if removed.is_err() {
        let pids = context.cgroups.kill_pod(&pod.meta.uid);
        tracing::warn!(pod = pod.key(), ?pids, "processes were left in a pod's cgroup and are killed");
        removed = remove_cgroup(context, pod).await;
    }
    removed.map_err(failure)?;
    let dirs = context.dirs(pod);
    let done = tokio::task::spawn_blocking(move || teardown::tear_down(&dirs).map_err(|e| e.to_string()));
    done.await.unwrap_or_else(|e| Err(e.to_string())).map_err(failure)
}

/// Removes the pod's cgroup once its last processes have left it; the error is the last try's.
async fn remove_cgroup(context: &Arc<Context>, pod: &Pod) -> Result<(), String> {
    let mut attempt = 1;
    loop {
        let (of_try, uid) = (Arc::clone(context), pod.meta.uid.clone());
        let removed = tokio::task::spawn_blocking(move || of_try.cgroups.remove_pod(&uid)).await;
        match removed {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if attempt == CGROUP_TRIES => return Err(error.to_string()),
            Ok(Err(_)) => tokio::time::sleep(CGROUP_PAUSE).await,
            Err(error) => return Err(error.to_string()),
        }
        attempt += 1;
    }
}

/// Everything that the runtime still holds of the pod, and its logs.
pub(super) async fn purge(context: &Arc<Context>, pod: &Arc<Pod>, sandboxes: &[String]) {
    for id in sandboxes {
        remove_sandbox(context, id).await;
    }
    let logs = context.log_dir(pod);
    let removed = tokio::task::spawn_blocking(move || teardown::remove_all(&logs)).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(pod = pod.key(), %error, "a pod's logs were not removed");
    }
}
