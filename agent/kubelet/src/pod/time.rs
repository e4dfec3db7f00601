//! Time as an input: the pure parts never read a clock.

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of the monotonic clock since the agent's start: all timers.
    pub mono: u64,
    /// Milliseconds since the Unix epoch: what a status shows.
    pub wall: i64,
}

impl Now {
    /// The monotonic time of a wall-clock moment in the past (0 when before the agent's start).
    pub fn mono_of(self, wall: i64) -> u64 {
        let ago = u64::try_from(self.wall - wall).unwrap_or(0);
        self.mono.saturating_sub(ago)
    }
}

/// `2026-01-02T03:04:05Z` from milliseconds since the epoch.
pub fn rfc3339(wall_ms: i64) -> String {
    keelson_api::time::seconds(wall_ms.div_euclid(1000))
}

/// Milliseconds since the epoch of a time in an API object.
pub fn parse(text: &str) -> Option<i64> {
    keelson_api::time::parse(text).ok().map(|s| s * 1000)
}
