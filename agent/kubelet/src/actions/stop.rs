//! Stops one container: its preStop hook, then the signal, all within the grace period.

use super::{Context, hooks};
use crate::pod::{Failure, Pod};
use std::time::{Duration, Instant};

/// The runtime gets at least this long between signal and kill, however long the hook took.
const SIGNAL_GRACE_S_MIN: i64 = 2;
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Stop<'a> {
    pub(super) name: &'a str,
    pub(super) id: &'a str,
    pub(super) grace_s: i64,
    pub(super) hook: bool,
    pub(super) message: String,
}

pub(super) async fn stop(context: &Context, pod: &Pod, stop: Stop<'_>) -> Result<(), Failure> {
    if !stop.message.is_empty() {
        context.record(pod, false, "Killing", stop.message, Some(stop.name));
    }
    let mut left = stop.grace_s.max(0);
    if stop.hook && left > 0 {
        let begun = Instant::now();
        let grace = Duration::from_secs(left.unsigned_abs());
        let hook = hooks::pre_stop(context, pod, stop.name, stop.id);
        if let Ok(Err(message)) = tokio::time::timeout(grace, hook).await {
            context.record(pod, true, "FailedPreStopHook", message, Some(stop.name));
        }
        let used = i64::try_from(begun.elapsed().as_secs()).unwrap_or(left);
        left = (left - used).max(SIGNAL_GRACE_S_MIN);
    }
    let result = context.cri.stop_container(stop.id, left).await;
    context.look.notify_one();
    match result {
        Err(error) if !error.is_not_found() => {
            tracing::warn!(container = stop.id, %error, "a container was not stopped");
            tokio::time::sleep(RETRY).await;
            Err(Failure::new("FailedKillContainer", error.to_string()))
        }
        _ => Ok(()),
    }
}
