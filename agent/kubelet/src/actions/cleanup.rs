//! Removes what a pod leaves behind, in the runtime and on disk.

use super::Context;
use crate::pod::{Failure, Pod};
use crate::volume::teardown;
use std::sync::Arc;
use std::time::Duration;

/// Processes of a container that was just killed may linger in its cgroup for a moment.
const CGROUP_TRIES: u32 = 20;
const CGROUP_PAUSE: Duration = Duration::from_millis(25);

/// Removes old containers and sandboxes; a failure shows in the next listing.
pub(super) async fn remove(context: &Context, containers: &[String], sandboxes: &[String]) {
    for id in containers {
        if let Err(error) = context.cri.remove_container(id).await
            && !error.is_not_found()
        {
            tracing::warn!(container = id, %error, "an old container was not removed");
        }
    }
    for id in sandboxes {
        remove_sandbox(context, id).await;
    }
}

async fn remove_sandbox(context: &Context, id: &str) {
    let stopped = context.cri.stop_pod_sandbox(id).await;
    let removed = context.cri.remove_pod_sandbox(id).await;
    for error in [stopped.err(), removed.err()].into_iter().flatten().filter(|e| !e.is_not_found()) {
        tracing::warn!(sandbox = id, %error, "a sandbox was not removed");
    }
}

/// Volumes, the pod's folder and its cgroup.
pub(super) async fn tear_down(context: &Arc<Context>, pod: &Arc<Pod>) -> Result<(), Failure> {
    context.tokens.forget(&pod.meta.uid);
    let failure = |message: String| {
        tracing::warn!(pod = pod.key(), message, "a pod was not torn down");
        Failure::new("FailedTearDown", message)
    };
    for attempt in 1.. {
        let (context, uid) = (Arc::clone(context), pod.meta.uid.clone());
        let removed = tokio::task::spawn_blocking(move || context.cgroups.remove_pod(&uid)).await;
        match removed {
            Ok(Ok(())) => break,
            Ok(Err(error)) if attempt == CGROUP_TRIES => return Err(failure(error.to_string())),
            Ok(Err(_)) => tokio::time::sleep(CGROUP_PAUSE).await,
            Err(error) => return Err(failure(error.to_string())),
        }
    }
    let dirs = context.dirs(pod);
    let done = tokio::task::spawn_blocking(move || teardown::tear_down(&dirs).map_err(|e| e.to_string()));
    done.await.unwrap_or_else(|e| Err(e.to_string())).map_err(failure)
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
