//! Whether the file system has room for another write.
//!
//! A database that runs into a full disk in the middle of its own housekeeping is in trouble; one that stops taking
//! writes a little earlier is not. So the last part of the disk is left alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;

use crate::error::WriteError;

/// How long an answer holds: what can be written meanwhile is far less than the reserve.
const FRESH: Duration = Duration::from_millis(20);

pub(crate) struct Room {
    dir: PathBuf,
    reserve: u64,
    checked: Option<(Instant, Result<(), WriteError>)>,
}

impl Room {
    pub fn new(dir: PathBuf, reserve: u64) -> Room {
        Room { dir, reserve, checked: None }
    }

    /// An error when less than the reserve is free.
    pub fn check(&mut self) -> Result<(), WriteError> {
        if let Some((at, answer)) = &self.checked
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answer = self.look();
        self.checked = Some((Instant::now(), answer.clone()));
        answer
    }

    fn look(&self) -> Result<(), WriteError> {
        let fs = statvfs(&self.dir).map_err(|e| WriteError::Io(format!("{}: {e}", self.dir.display())))?;
        let free = fs.blocks_available() * fs.fragment_size();
        // On a small file system an eighth is enough.
        let reserve = self.reserve.min(fs.blocks() * fs.fragment_size() / 8);
        if free >= reserve {
            return Ok(());
        }
        let mib = |bytes: u64| bytes >> 20;
        Err(WriteError::DiskFull(format!(
            "{}: {} MiB are free and {} MiB must be; writes are taken again when there is room",
            self.dir.display(),
            mib(free),
            mib(reserve)
        )))
    }
}
