//! Long-running processes of a cluster: started in their namespace and cgroup, found again by a file.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A process with its start time, so that a reused pid is not taken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    pub pid: i32,
    /// In clock ticks since boot, field 22 of `/proc/PID/stat`.
    started: u64,
}

/// A command that runs `program` in the network namespace at `netns`. Unlike `ip netns exec` it leaves /sys, and
/// with it cgroups and BPF file systems, as they are.
pub fn in_netns(netns: &Path, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", netns.display())).arg("--").arg(program);
    command
}

impl Daemon {
    /// Starts `command` in a session of its own and in `cgroup` (a folder of the v2 tree, made when missing),
    /// writes to `log`, and notes the process in `file`.
    pub fn start(mut command: Command, cgroup: &Path, log: &Path, file: &Path) -> Result<Self> {
        fs::create_dir_all(cgroup).with_context(|| format!("cannot make the cgroup {}", cgroup.display()))?;
        let procs: PathBuf = cgroup.join("cgroup.procs");
        let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // SAFETY: between fork and exec only setsid and one write to a file happen; `procs` was allocated before.
        unsafe {
            command.pre_exec(move || {
                nix::unistd::setsid()?;
                fs::write(&procs, "0")
            });
        }
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = i32::try_from(child.id())?;
        let daemon = Self { pid, started: start_time(pid).context("it ended at once")? };
        fs::write(file, format!("{} {}\n", daemon.pid, daemon.started))?;
        Ok(daemon)
    }

    /// The process that `file` names, whether it still runs or not.
    pub fn load(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, started: started.parse().ok()? })
    }

    pub fn is_running(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    /// Sends a signal if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.is_running() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// SIGTERM; SIGKILL when it has not ended within `grace`.
    pub fn stop(&self, grace: Duration) -> Result<()> {
        self.signal(Signal::SIGTERM);
        if !self.wait(grace) {
            self.signal(Signal::SIGKILL);
        }
        if !self.wait(Duration::from_secs(5)) {
            bail!("process {} does not end", self.pid);
        }
        Ok(())
    }

    /// Waits until it has ended; false when it still runs after `limit`.
    pub fn wait(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while self.is_running() {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

/// When `pid` was started; `None` when it has ended, also as a zombie (which is reaped when it is ours).
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    // After a SIGKILL the first thread may be a zombie while others still hold ports and files.
    let last = || fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() <= 1);
    if fields.next() == Some("Z") && last() {
        let _ = nix::sys::wait::waitpid(Pid::from_raw(pid), Some(nix::sys::wait::WaitPidFlag::WNOHANG));
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_process_from_a_later_one_with_its_pid() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let daemon = Daemon { pid, started: start_time(pid).unwrap() };
        assert!(daemon.is_running());
        assert!(!Daemon { started: daemon.started + 1, ..daemon.clone() }.is_running());
        child.kill().unwrap();
        assert!(daemon.wait(Duration::from_secs(5)), "a zombie does not run");
        let _ = child.wait();
    }
}
