//! Which pods have to leave a tainted node, and when.

use jiff::Timestamp;
use keelson_client::views::{Pod, Taint, Toleration};
use std::time::Duration;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Stay,
    /// Leave after this time unless the taint goes.
    LeaveAfter(Duration),
    Leave,
}

pub(super) fn plan(pod: &Pod, taints: &[Taint], now: Timestamp) -> Plan {
    let mut leave_at: Option<i64> = None;
    for taint in taints.iter().filter(|t| t.effect == "NoExecute") {
        let tolerations: Vec<&Toleration> =
            pod.spec.tolerations.iter().filter(|t| tolerates(t, taint)).collect();
        if tolerations.is_empty() {
            return Plan::Leave;
        }
        // The shortest time counts; a toleration without one lasts.
        let Some(seconds) = tolerations.iter().filter_map(|t| t.toleration_seconds).min() else { continue };
        let since = taint.time_added.unwrap_or(now).as_second();
        let at = since.saturating_add(seconds.max(0));
        leave_at = Some(leave_at.map_or(at, |earlier| earlier.min(at)));
    }
    match leave_at {
        None => Plan::Stay,
        Some(at) => match u64::try_from(at - now.as_second()) {
            Ok(left) if left > 0 => Plan::LeaveAfter(Duration::from_secs(left)),
            _ => Plan::Leave,
        },
    }
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let key = toleration.key.is_empty() || toleration.key == taint.key;
    let value = match toleration.operator.as_str() {
        "Exists" => true,
        "" | "Equal" => !toleration.key.is_empty() && toleration.value == taint.value,
        _ => false,
    };
    effect && key && value
}
