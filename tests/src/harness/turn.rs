//! Whose turn it is: clusters of the same names, and more clusters than two cores carry, get in each other's way.

use super::cluster::{folder_of_tests, folders_of_others};
use super::places::{Places, Share};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

static PLACES: Places = Places::new();
/// The folder of this run as long as one of its tests has it.
static HELD: Mutex<Weak<Folder>> = Mutex::new(Weak::new());

/// The right to make clusters, until it is dropped. Says then how long it was used: so it shows where the minutes go.
pub struct Turn {
    begin: Instant,
    share: Share,
    folder: Option<Arc<Folder>>,
}

impl Turn {
    /// Lets other tests of this run have clusters while this one only `waits`.
    pub fn rest<T>(&self, waits: impl FnOnce() -> T) -> T {
        PLACES.rest(self.share, waits)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            // Nobody may look whether the folder is held while it goes.
            let _held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
            self.folder = None;
        }
        PLACES.give(self.share);
        // Threads of tests bear their names.
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("a test");
        say(&format!("{name}: {:.1} s", self.begin.elapsed().as_secs_f64()));
    }
}

/// Waits until there is room among the tests of this process, and no other run of this checkout's tests is alive.
pub fn turn(share: Share) -> Turn {
    PLACES.take(share);
    // Given back also when there is no folder.
    let mut turn = Turn { begin: Instant::now(), share, folder: None };
    turn.folder = Some(folder());
    turn
}

/// The folder of all tests, locked for this run; it goes with the last of them. One that is not locked is taken for
/// what a killed run has left.
struct Folder {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a test could not remove keeps it.
        let _ = fs::remove_dir(&self.path);
    }
}

/// One lock for all tests of this run.
fn folder() -> Arc<Folder> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.upgrade().unwrap_or_else(|| {
        let path = folder_of_tests();
        let folder = Arc::new(Folder { _lock: lock(&path), path });
        folders_of_others().iter().for_each(|other| clear(other));
        *held = Arc::downgrade(&folder);
        folder
    })
}

/// Locks a folder, which is made when it is missing. The lock ends with its holder, however that ends.
fn lock(folder: &Path) -> Flock<File> {
    let mut has_said = false;
    loop {
        fs::create_dir_all(folder).expect("the folder of tests can be made");
        // The holder removes the folder as its last deed: it may be gone, or another one.
        let Ok(file) = File::open(folder) else { continue };
        let locked = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => locked,
            Err((file, _)) => {
                if !has_said {
                    has_said = true;
                    say(&format!(
                        "another run of this checkout's tests has {}: waiting for it",
                        folder.display()
                    ));
                }
                let Ok(locked) = Flock::lock(file, FlockArg::LockExclusive) else { continue };
                locked
            }
        };
        if is_at(&locked, folder) {
            return locked;
        }
    }
}

/// Whether an open folder is still the one at `path`.
fn is_at(open: &File, path: &Path) -> bool {
    let number = |found: std::io::Result<fs::Metadata>| found.map(|found| found.ino()).ok();
    let open = number(open.metadata());
    open.is_some() && open == number(fs::metadata(path))
}

/// Takes away the clusters in the folder of another checkout, unless its tests run: one that was deleted since never
/// comes back to what a kill has left of them.
fn clear(folder: &Path) {
    let Ok(file) = File::open(folder) else { return };
    let Ok(locked) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return };
    // Its run may have ended between the two, and begun again with another folder.
    if !is_at(&locked, folder) {
        return;
    }
    say(&format!("a run of another checkout's tests was killed: clearing {}", folder.display()));
    for state in fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Err(error) = xtask::cluster::down(&state.path()) {
            say(&format!("{}: {error:#}", state.path().display()));
        }
    }
    let _ = fs::remove_dir(folder);
}

/// To the terminal: what a test prints is shown only once it has failed.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "==> {text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn what_a_killed_run_left_is_cleared_and_what_a_live_one_has_stays() {
        let folder = std::env::temp_dir().join(format!("keelson-clear-{}", std::process::id()));
        fs::create_dir_all(folder.join("some-cluster/logs")).unwrap();
        let alive = lock(&folder);
        clear(&folder);
        assert!(folder.join("some-cluster/logs").exists(), "its run is alive");
        drop(alive);
        clear(&folder);
        assert!(!folder.exists());
    }

    /// Who comes second waits, also when the first one takes the folder away.
    #[test]
    fn one_after_the_other() {
        let folder = std::env::temp_dir().join(format!("keelson-turn-{}", std::process::id()));
        let first = lock(&folder);
        let (locked, second) = channel();
        let (of_second, wait_on) = (folder.clone(), Duration::from_millis(300));
        let thread = std::thread::spawn(move || {
            let lock = lock(&of_second);
            locked.send(of_second.exists()).unwrap();
            drop(lock);
        });
        assert!(second.recv_timeout(wait_on).is_err(), "the second waits");
        fs::remove_dir(&folder).unwrap();
        drop(first);
        assert!(second.recv_timeout(Duration::from_secs(10)).unwrap(), "the folder that it has is there");
        thread.join().unwrap();
        fs::remove_dir(&folder).unwrap();
    }
}
