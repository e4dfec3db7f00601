//! A part of the disk that the store holds for its own next start: a start writes a new manifest and makes tables
//! of its log, so a store that was killed on a full disk could not come back. What it holds is given up then, and
//! taken again when there is room.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::posix_fallocate;

/// Enough for what the memtables hold, in bytes.
const SIZE: u64 = 32 << 20;
/// A small file system gives one part of this many.
const SHARE: u64 = 16;

pub(crate) struct Spare {
    path: PathBuf,
    held: bool,
}

impl Spare {
    pub fn new(dir: &Path) -> Spare {
        Spare { path: dir.join("spare"), held: false }
    }

    /// Bytes held on a file system of this size.
    pub fn size(file_system: u64) -> u64 {
        SIZE.min(file_system / SHARE)
    }

    /// Before a start: gives up what is held when less than `size` is `free`.
    pub fn give(&mut self, free: u64, size: u64) {
        if free < size {
            match fs::remove_file(&self.path) {
                Ok(()) => {
                    tracing::warn!(path = %self.path.display(), "the disk is full; its last part is used")
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(path = %self.path.display(), %error, "cannot be removed"),
            }
        }
        self.held = self.path.exists();
    }

    /// Takes it where there is room for it beyond what must be free.
    pub fn take(&mut self, free: u64, size: u64, reserve: u64) {
        if self.held || free < size + reserve {
            return;
        }
        // Asked once: a file system that cannot do this is not asked at each write.
        self.held = true;
        let taken = File::create(&self.path).and_then(|file| {
            let length = i64::try_from(size).unwrap_or(0);
            posix_fallocate(&file, 0, length).map_err(io::Error::from)
        });
        if let Err(error) = taken {
            tracing::debug!(path = %self.path.display(), %error, "no room is held for the next start");
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_while_there_is_room_and_given_when_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let length = || fs::metadata(dir.path().join("spare")).map(|m| m.len()).ok();
        let mut spare = Spare::new(dir.path());
        spare.give(0, 4096);
        for (free, want) in [(0, None), (8191, None), (8192, Some(4096)), (8192, Some(4096))] {
            spare.take(free, 4096, 4096);
            assert_eq!(length(), want, "{free} bytes free");
        }
        let mut next = Spare::new(dir.path());
        next.give(4096, 4096);
        assert_eq!(length(), Some(4096), "there is room enough");
        next.give(4095, 4096);
        assert_eq!(length(), None);
        next.take(8192, 4096, 4096);
        assert_eq!(length(), Some(4096), "taken again");
        assert_eq!((Spare::size(1 << 40), Spare::size(160 << 20)), (32 << 20, 10 << 20));
    }
}
