//! How many pods a rolling update may add and take away.

use keelson_client::views::{Deployment, IntOrString};

/// The bounds of a rolling update, in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) surge: i64,
    pub(super) unavailable: i64,
}

/// Percentages of surge round up, of unavailability down; both zero would never move, so one may be missing.
pub(super) fn bounds(deployment: &Deployment) -> Bounds {
    let replicas = replicas(deployment);
    if !is_rolling(deployment) {
        return Bounds { surge: 0, unavailable: 0 };
    }
    let rolling = deployment.spec.strategy.rolling_update.as_ref();
    let quarter = IntOrString::String("25%".to_owned());
    let surge = rolling.and_then(|r| r.max_surge.as_ref()).unwrap_or(&quarter);
    let unavailable = rolling.and_then(|r| r.max_unavailable.as_ref()).unwrap_or(&quarter);
    let surge = resolve(surge, replicas, true);
    let mut unavailable = resolve(unavailable, replicas, false);
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    Bounds { surge, unavailable: unavailable.min(replicas) }
}

fn resolve(value: &IntOrString, total: i64, round_up: bool) -> i64 {
    match value {
        IntOrString::Int(n) => (*n).max(0),
        IntOrString::String(text) => {
            let percent: i64 = text.strip_suffix('%').and_then(|p| p.parse().ok()).unwrap_or(0);
            let hundredths = percent.max(0).saturating_mul(total);
            if round_up { hundredths.saturating_add(99) / 100 } else { hundredths / 100 }
        }
    }
}

pub(super) fn replicas(deployment: &Deployment) -> i64 {
    deployment.spec.replicas.unwrap_or(1).max(0)
}

pub(super) fn is_rolling(deployment: &Deployment) -> bool {
    deployment.spec.strategy.r#type != "Recreate"
}
