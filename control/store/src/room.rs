//! Whether the file system has room for another write.
//!
//! A database that runs into a full disk in the middle of its own housekeeping is in trouble; one that stops taking
//! writes a little earlier is not. So the last part of the disk is left alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;

use crate::error::WriteError;
use crate::spare::Spare;

/// How long an answer holds: what can be written meanwhile is far less than the reserve.
const FRESH: Duration = Duration::from_millis(20);

pub(crate) struct Room {
    dir: PathBuf,
    reserve: u64,
    spare: Spare,
    checked: Option<(Instant, Result<(), WriteError>)>,
}

impl Room {
    pub fn new(dir: PathBuf, reserve: u64) -> Room {
        Room { spare: Spare::new(&dir), dir, reserve, checked: None }
    }

    /// Before the database is opened: what it may need to start is free afterwards, if the store has held it.
    pub fn make(&mut self) {
        // A file system that cannot be asked is the database's to complain about.
        if let Ok(space) = self.space() {
            self.spare.give(space.free, Spare::size(space.total));
        }
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

    fn look(&mut self) -> Result<(), WriteError> {
        let Space { free, total } =
            self.space().map_err(|e| WriteError::Io(format!("{}: {e}", self.dir.display())))?;
        // On a small file system an eighth is enough.
        let reserve = self.reserve.min(total / 8);
        if free >= reserve {
            // A store that leaves nothing free holds nothing either.
            if reserve > 0 {
                self.spare.take(free, Spare::size(total), reserve);
            }
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

    fn space(&self) -> nix::Result<Space> {
        let fs = statvfs(&self.dir)?;
        let unit = fs.fragment_size();
        Ok(Space { free: fs.blocks_available() * unit, total: fs.blocks() * unit })
    }
}

/// Of a file system, in bytes.
struct Space {
    free: u64,
    total: u64,
}
