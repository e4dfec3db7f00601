//! The one place that reads clocks for the pods' machines.

use crate::pod::time::Now;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Gives the time as the pure parts want it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(&self) -> Now {
        let mono = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono, wall: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX) }
    }

    /// The moment of a monotonic time.
    pub fn instant(&self, mono: u64) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + Duration::from_millis(mono))
    }
}
