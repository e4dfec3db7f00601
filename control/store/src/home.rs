//! The store's directory: who may use it and what it holds.
//!
//! ```text
//! lock         held while a process has the store open
//! format       what this directory is; written once, when the database is made
//! mark         how far the log was when this was last noted: a database that is behind has lost something
//! db/          RocksDB
//! snapshots/   raft snapshots
//! spare        a part of the disk held for the next start
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::disk::sync_dir;
use crate::error::OpenError;

const FORMAT: &str = "keelson-store 1\n";
/// What an empty file system has by itself.
const NOT_OURS_BUT_FINE: &str = "lost+found";

/// The directory, locked while this lives.
pub(crate) struct Home {
    dir: PathBuf,
    /// The database exists: if its files are missing, something took them away.
    pub existed: bool,
    lock: File,
}

impl Drop for Home {
    fn drop(&mut self) {
        // To close the file is not enough: a child between fork and exec still has it open. Nobody is left to tell.
        let _ = self.lock.unlock();
    }
}

impl Home {
    /// Makes the directory if needed and locks it.
    pub fn enter(dir: &Path) -> Result<Home, OpenError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| OpenError::Io { path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
        let lock_path = dir.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: lock_path }),
            Err(TryLockError::Error(e)) => return Err(at(&lock_path)(e)),
        }
        let format = dir.join("format");
        let existed = match fs::read_to_string(&format) {
            Ok(found) => {
                check_format(&format, &found)?;
                true
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                check_empty(dir)?;
                false
            }
            Err(e) => return Err(at(&format)(e)),
        };
        Ok(Home { dir: dir.to_owned(), existed, lock })
    }

    /// Notes that the database exists from now on.
    pub fn settle(&mut self) -> Result<(), OpenError> {
        if self.existed {
            return Ok(());
        }
        let path = self.dir.join("format");
        self.replace("format", FORMAT).map_err(|source| OpenError::Io { path, source })?;
        self.existed = true;
        Ok(())
    }

    /// The log index that the database must have reached. 0 when none was noted.
    pub fn mark(&self) -> Result<u64, OpenError> {
        let path = self.dir.join("mark");
        match fs::read_to_string(&path) {
            Ok(text) => text.trim_end().parse().map_err(|_| OpenError::Damaged {
                path,
                detail: format!("{:?} is not a number", text.chars().take(40).collect::<String>()),
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(source) => Err(OpenError::Io { path, source }),
        }
    }

    /// Notes that everything up to this index is durable.
    pub fn set_mark(&self, index: u64) -> io::Result<()> {
        self.replace("mark", &format!("{index}\n"))
    }

    /// Writes a small file so that after a crash the old or the new one is there.
    fn replace(&self, name: &str, content: &str) -> io::Result<()> {
        let new = self.dir.join(format!("{name}.new"));
        let mut file = File::create(&new)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.dir.join(name))?;
        sync_dir(&self.dir)
    }

    pub fn db(&self) -> PathBuf {
        self.dir.join("db")
    }

    pub fn snapshots(&self) -> PathBuf {
        self.dir.join("snapshots")
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn check_format(path: &Path, found: &str) -> Result<(), OpenError> {
    if found == FORMAT {
        return Ok(());
    }
    let detail = format!(
        "says {:?}, and this version reads {:?}; use the version of keelson that wrote it",
        found.chars().take(40).collect::<String>().trim_end(),
        FORMAT.trim_end()
    );
    Err(OpenError::Format { path: path.to_owned(), detail })
}

/// A store is not made among files that are not its own.
fn check_empty(dir: &Path) -> Result<(), OpenError> {
    let ours = ["lock", "format.new", "db", "snapshots", NOT_OURS_BUT_FINE];
    let entries = fs::read_dir(dir).map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
    for entry in entries.flatten() {
        if !ours.iter().any(|name| entry.file_name() == *name) {
            let detail =
                "is not part of a store, and the directory has no file 'format' that says it is one; give \
                          an empty directory"
                    .to_owned();
            return Err(OpenError::Format { path: entry.path(), detail });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_a_store_or_empty() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("a/b");
        let mut first = Home::enter(&home).unwrap();
        assert!(!first.existed);
        first.settle().unwrap();
        assert!(matches!(Home::enter(&home), Err(OpenError::InUse { .. })));
        // What a child between fork and exec has.
        let of_child = first.lock.try_clone().unwrap();
        drop(first);
        assert!(Home::enter(&home).unwrap().existed);
        drop(of_child);

        fs::write(home.join("format"), "keelson-store 9\n").unwrap();
        let error = Home::enter(&home).err().unwrap().to_string();
        assert!(error.contains("format") && error.contains("keelson-store 9"), "{error}");

        fs::write(dir.path().join("letter.txt"), "dear").unwrap();
        let error = Home::enter(dir.path()).err().unwrap().to_string();
        assert!(error.contains("letter.txt") || error.contains("/a"), "{error}");
    }
}
