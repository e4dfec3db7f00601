//! Percentiles of measured times.

use serde_json::{Value, json};
use std::time::Duration;

/// p50, p99 and the maximum in microseconds.
pub fn percentiles(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |per_mille: usize| -> f64 {
        let index = (times.len() * per_mille / 1000).min(times.len().saturating_sub(1));
        times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    json!({ "p50_us": at(500), "p99_us": at(990), "max_us": at(1000) })
}
