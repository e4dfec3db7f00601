//! Waiting for what takes its time, with a limit and a last word.

use std::time::{Duration, Instant};

/// Calls `probe` until it returns `Ok`; panics with its last error when `limit` is over.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + limit;
    loop {
        match probe() {
            Ok(value) => return value,
            Err(error) if Instant::now() > end => panic!("{what}: not within {limit:?}: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
