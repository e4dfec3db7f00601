//! CPU time of a process, from `/proc/PID/stat` (proc_pid_stat(5)).

use anyhow::{Context, Result};
use std::fs;

/// User and system time of all threads so far, in microseconds; the kernel counts in ticks of 10 ms.
pub fn used_us(pid: i32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the server has ended")?;
    let fields: Vec<_> = stat.rsplit_once(") ").context("malformed stat")?.1.split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    // Fields 14 and 15 of the whole line; the state, the third, is the first here.
    Ok((ticks(11) + ticks(12)) * 10_000)
}
