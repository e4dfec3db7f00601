//! Signals, users and children.

use anyhow::{Context, Result};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::{Pid, User, chown, setgid, setgroups, setuid};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal as listen};

/// How long children may take to end.
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

/// SIGTERM to all, then SIGKILL to those that have not ended in time.
pub fn terminate_children<'a>(children: impl Iterator<Item = &'a mut Child>) {
    let mut children: Vec<_> = children.collect();
    for child in &children {
        if let Ok(pid) = i32::try_from(child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
    let end = Instant::now() + GRACE;
    while Instant::now() < end {
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if children.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for child in children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Makes the system user `name` when it does not exist.
pub fn ensure_user(name: &str) -> Result<()> {
    if User::from_name(name)?.is_some() {
        return Ok(());
    }
    let status = Command::new("useradd")
        .args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name])
        .status()
        .context("cannot run useradd")?;
    anyhow::ensure!(status.success(), "useradd cannot make the user {name} ({status})");
    Ok(())
}

/// Gives up root, and with it every capability, for the user `name`, who gets `owned` first. Must be called
/// before any thread is started.
pub fn become_user(name: &str, owned: &[PathBuf]) -> Result<()> {
    let user = User::from_name(name)?.with_context(|| format!("there is no user {name}"))?;
    if nix::unistd::geteuid() == user.uid {
        return Ok(());
    }
    for path in owned {
        std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        hand_over(path, &user)?;
    }
    setgroups(&[]).context("cannot drop groups; is this root?")?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    Ok(())
}

fn hand_over(path: &Path, user: &User) -> Result<()> {
    chown(path, Some(user.uid), Some(user.gid))
        .with_context(|| format!("cannot give {} to {}", path.display(), user.name))?;
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path)? {
            hand_over(&entry?.path(), user)?;
        }
    }
    Ok(())
}
