//! containerd as a process: started or adopted, watched, started again when it dies.
//!
//! It outlives an agent that is killed, and the next agent adopts it; containers outlive both.

use super::Layout;
use super::config::{Traits, render};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long containerd may take to serve.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How often a running one is looked at.
const WATCH_PERIOD: Duration = Duration::from_millis(500);
/// The pause before a dead one is started again, doubled each time up to the maximum.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ContainerdError {
    #[error(
        "containerd is not installed (looked for it on the PATH); on Debian: apt install containerd runc"
    )]
    NotInstalled,
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: io::Error },
    #[error("cannot start containerd: {0}")]
    Start(io::Error),
    #[error("containerd does not serve at {socket} within {} s; its log is {log}", START_LIMIT.as_secs())]
    Silent { socket: String, log: String },
    #[error("containerd has ended right after its start; its log is {log}")]
    Ended { log: String },
}

/// A private containerd.
pub struct Containerd {
    layout: Layout,
}

impl Containerd {
    /// Starts containerd, or adopts the one that an earlier agent started, and returns when it serves.
    pub async fn start(layout: Layout) -> Result<Self, ContainerdError> {
        let containerd = Self { layout };
        if containerd.is_serving() {
            tracing::info!(socket = %containerd.layout.socket.display(), "adopted the running containerd");
            return Ok(containerd);
        }
        containerd.spawn().await?;
        Ok(containerd)
    }

    /// Where it serves CRI.
    pub fn socket(&self) -> &Path {
        &self.layout.socket
    }

    fn pid(&self) -> Option<i32> {
        fs::read_to_string(&self.layout.pid_file).ok()?.trim().parse().ok()
    }

    fn is_serving(&self) -> bool {
        self.pid().is_some_and(is_alive) && UnixStream::connect(&self.layout.socket).is_ok()
    }

    async fn spawn(&self) -> Result<(), ContainerdError> {
        let program = find("containerd").ok_or(ContainerdError::NotInstalled)?;
        find("runc").ok_or(ContainerdError::NotInstalled)?;
        self.write_files()?;
        let pid = self.launch(&program).map_err(ContainerdError::Start)?;
        let end = Instant::now() + START_LIMIT;
        while UnixStream::connect(&self.layout.socket).is_err() {
            if !is_alive(pid) {
                return Err(ContainerdError::Ended { log: self.layout.log.display().to_string() });
            }
            if Instant::now() > end {
                return Err(ContainerdError::Silent {
                    socket: self.layout.socket.display().to_string(),
                    log: self.layout.log.display().to_string(),
                });
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn write_files(&self) -> Result<(), ContainerdError> {
        let layout = &self.layout;
        let folders =
            [&layout.root, &layout.state, &layout.cni_bin_dir, &layout.cni_conf_dir].map(|p| p.as_path());
        for dir in folders.into_iter().chain(layout.config.parent()) {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o711)
                .create(dir)
                .map_err(|source| ContainerdError::Write { path: dir.display().to_string(), source })?;
        }
        let traits = Traits { may_set_oom_score: may_set_oom_score() };
        fs::write(&layout.config, render(layout, traits))
            .map_err(|source| ContainerdError::Write { path: layout.config.display().to_string(), source })
    }

    /// In a session of its own, so that no signal to the agent's group reaches it.
    fn launch(&self, program: &Path) -> io::Result<i32> {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.layout.log)?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&self.layout.config).arg("--log-level").arg("warn");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // SAFETY: setsid is async-signal-safe and the only call between fork and exec.
        unsafe {
            command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(io::Error::from));
        }
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        fs::write(&self.layout.pid_file, pid.to_string())?;
        Ok(pid)
    }

    /// Starts containerd again whenever it dies; ends only when it is dropped with its task.
    pub async fn keep_running(&self) {
        let mut pause = RESTART_PAUSE;
        loop {
            sleep(WATCH_PERIOD).await;
            if self.pid().is_some_and(is_alive) {
                pause = RESTART_PAUSE;
                continue;
            }
            tracing::warn!("containerd has ended, starting it again");
            if let Err(error) = self.spawn().await {
                tracing::error!(%error, "containerd does not start");
                sleep(pause).await;
                pause = (pause * 2).min(RESTART_PAUSE_MAX);
            }
        }
    }

    /// Tells containerd to end, when it runs.
    fn tell_to_end(&self) -> Option<i32> {
        let pid = self.pid().filter(|pid| is_alive(*pid))?;
        // It may end by itself meanwhile.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        Some(pid)
    }

    /// Ends containerd; containers run on.
    pub async fn stop(&self) {
        let Some(pid) = self.tell_to_end() else { return };
        let end = Instant::now() + Duration::from_secs(5);
        while is_alive(pid) && Instant::now() < end {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Ends the containerd of a node that does not come up after all, or is ended before: nobody would watch over it.
pub struct UntilUp(Option<Layout>);

impl UntilUp {
    /// Before containerd is started; without a layout there is none of ours.
    pub fn new(layout: Option<Layout>) -> Self {
        Self(layout)
    }

    /// The node is up: from now on it ends in order.
    pub fn is_up(mut self) {
        self.0 = None;
    }
}

impl Drop for UntilUp {
    fn drop(&mut self) {
        if let Some(layout) = self.0.take() {
            Containerd { layout }.tell_to_end();
        }
    }
}

/// Whether process `pid` is a running containerd. A dead child of ours is reaped.
fn is_alive(pid: i32) -> bool {
    let _ = nix::sys::wait::waitpid(Pid::from_raw(pid), Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "containerd")
}

fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"].map(Into::into))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Whether this process has CAP_SYS_RESOURCE (bit 24 of the effective set, capabilities(7)).
fn may_set_oom_score() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|set| set & (1 << 24) != 0)
}
