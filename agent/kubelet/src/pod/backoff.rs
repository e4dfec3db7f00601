//! Exponential back-off as the kubelet does it: crash loops and image pulls.

/// The first delay, in milliseconds.
pub const INITIAL_MS: u64 = 10_000;
/// The longest delay.
pub const MAX_MS: u64 = 300_000;

/// The delay of one container. The first failure costs nothing; a container that ran for twice the longest
/// delay since the last failure starts afresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    /// 0 before the first failure.
    delay_ms: u64,
    updated: u64,
}

impl Backoff {
    /// When the next attempt may be made after a failure at `failed` (monotonic ms).
    pub fn until(&self, failed: u64) -> u64 {
        if self.expired(failed) { failed } else { failed + self.delay_ms }
    }

    /// The delay that is in force after a failure at `failed`.
    pub fn delay_ms(&self, failed: u64) -> u64 {
        if self.expired(failed) { 0 } else { self.delay_ms }
    }

    /// An attempt is made after the failure at `failed`: the following delay is twice as long.
    pub fn attempt(&mut self, failed: u64, now: u64) {
        self.delay_ms = if self.delay_ms == 0 || self.expired(failed) {
            INITIAL_MS
        } else {
            (self.delay_ms * 2).min(MAX_MS)
        };
        self.updated = now;
    }

    fn expired(&self, failed: u64) -> bool {
        failed.saturating_sub(self.updated) > 2 * MAX_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_ten_seconds_to_five_minutes() {
        let mut backoff = Backoff::default();
        let mut now = 1_000_000;
        let mut waits = Vec::new();
        for _ in 0..9 {
            let failed = now;
            now = backoff.until(failed);
            waits.push((now - failed) / 1000);
            backoff.attempt(failed, now);
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn ten_good_minutes_reset_it() {
        let mut backoff = Backoff::default();
        backoff.attempt(0, 0);
        backoff.attempt(0, 1000);
        assert_eq!(backoff.until(601_000), 621_000);
        assert_eq!(backoff.until(601_001), 601_001);
        backoff.attempt(601_001, 601_001);
        assert_eq!(backoff.delay_ms(601_002), INITIAL_MS);
    }
}
