//! A child process that is kept running.

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The pause before a dead child is started again, doubled each time it dies young.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A child that ran this long has not died young.
const SETTLED: Duration = Duration::from_secs(30);
/// So many young deaths without a single life: it cannot run here. Longer than what an earlier `keelson up`, killed,
/// takes to end.
const YOUNG_DEATHS_MAX: u32 = 5;

/// What its deaths so far say of a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct History {
    /// In a row.
    young_deaths: u32,
    /// It once ran for long.
    has_lived: bool,
}

impl History {
    /// Notes a death after so long a life: how long to wait before the next one, or nothing when there is no hope.
    fn died(&mut self, lived: Duration) -> Option<Duration> {
        if lived >= SETTLED {
            *self = Self { young_deaths: 0, has_lived: true };
            return Some(PAUSE);
        }
        self.young_deaths += 1;
        if !self.has_lived && self.young_deaths >= YOUNG_DEATHS_MAX {
            return None;
        }
        let doubled = PAUSE * 2_u32.saturating_pow(self.young_deaths.min(8) - 1);
        Some(doubled.min(PAUSE_MAX))
    }
}

/// A child process that is started again when it ends.
pub struct Kept {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
    child: Option<Child>,
    started: Instant,
    history: History,
    /// When a dead one may be started again.
    due: Instant,
}

impl Kept {
    pub fn new(name: &'static str, program: &Path, args: &[&str], config: &Path) -> Self {
        let mut args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        args.extend(["--config".to_owned(), config.display().to_string()]);
        let now = Instant::now();
        let history = History::default();
        Self { name, program: program.into(), args, child: None, started: now, history, due: now }
    }

    pub fn child(&mut self) -> Option<&mut Child> {
        self.child.as_mut()
    }

    /// Starts it when it is not running and its pause is over. An error when it does not start again and again.
    pub fn look(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child {
            let Some(status) = child.try_wait()? else { return Ok(()) };
            self.child = None;
            let Some(pause) = self.history.died(self.started.elapsed()) else {
                bail!("the {} does not start ({status}); what it said stands above", self.name);
            };
            eprintln!("==> the {} has ended ({status}), starting it again in {pause:?}", self.name);
            self.due = Instant::now() + pause;
        }
        if Instant::now() >= self.due {
            let spawned = ends_with_us(Command::new(&self.program).args(&self.args)).spawn();
            self.child = Some(spawned.with_context(|| format!("cannot start the {}", self.name))?);
            self.started = Instant::now();
        }
        Ok(())
    }
}

/// The kernel ends the child when this process is killed: else it would hold its ports, and nobody would know of it.
/// Must be called, and spawned, on the thread that lives as long as the process.
fn ends_with_us(command: &mut Command) -> &mut Command {
    let parent: Pid = getpid();
    // SAFETY: prctl and getppid are async-signal-safe and the only calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            set_pdeathsig(Signal::SIGTERM)?;
            if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lives_s: &[u64], pauses_s: &[Option<u64>]) {
        let mut history = History::default();
        let found: Vec<_> = lives_s
            .iter()
            .map(|life| history.died(Duration::from_secs(*life)).map(|pause| pause.as_secs()))
            .collect();
        assert_eq!(found, pauses_s, "{lives_s:?}");
    }

    #[test]
    fn who_never_lived_is_given_up() {
        check(&[0, 1, 5, 29, 0], &[Some(1), Some(2), Some(4), Some(8), None]);
    }

    #[test]
    fn who_has_lived_is_started_for_ever() {
        check(
            &[0, 60, 0, 0, 0, 0, 0, 0],
            &[Some(1), Some(1), Some(1), Some(2), Some(4), Some(8), Some(10), Some(10)],
        );
    }
}
