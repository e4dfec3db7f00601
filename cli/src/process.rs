//! Signals and children.

use anyhow::{Context, Result};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use std::fmt;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal as listen};

/// How long a child may take to end.
const GRACE: Duration = Duration::from_secs(15);

/// Why the process is asked to end.
pub enum Ending {
    Terminated,
    Interrupted,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Terminated => "SIGTERM",
            Ending::Interrupted => "SIGINT",
        })
    }
}

/// Returns when the process is asked to end.
pub async fn wait_for_end() -> Result<Ending> {
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => Ending::Terminated,
        _ = interrupt.recv() => Ending::Interrupted,
    })
}

static ENDING: AtomicBool = AtomicBool::new(false);

extern "C" fn note_ending(_: i32) {
    ENDING.store(true, Ordering::Relaxed);
}

/// A flag that SIGTERM and SIGINT set, for a process that only watches others.
pub fn ending_flag() -> Result<&'static AtomicBool> {
    for which in [Signal::SIGTERM, Signal::SIGINT] {
        // SAFETY: the handler stores to an atomic and does nothing else.
        unsafe { signal(which, SigHandler::Handler(note_ending)) }.context("cannot take signals")?;
    }
    Ok(&ENDING)
}

/// Ends one child after the other, in this order: SIGTERM, then SIGKILL when it has not ended in time.
pub fn terminate_children<'a>(children: impl Iterator<Item = &'a mut Child>) {
    for child in children {
        if let Ok(pid) = i32::try_from(child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let end = Instant::now() + GRACE;
        while Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // It may have ended: then these do nothing.
        let _ = child.kill();
        let _ = child.wait();
    }
}
