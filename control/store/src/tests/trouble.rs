//! Disks that are slow, full or broken: nothing is acknowledged too early, errors are clear, reads go on, and the
//! store comes back by itself.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::loop_fs::{LoopFs, block_on};
use super::*;

/// Holds each sync back until it is let through.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    waiting: AtomicU64,
}

impl SyncPolicy for Arc<Gate> {
    fn sync(&self, wal: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock();
        while !*open {
            self.changed.wait(&mut open);
        }
        wal()
    }
}

impl Gate {
    fn set(&self, open: bool) {
        *self.open.lock() = open;
        self.changed.notify_all();
    }
}

#[tokio::test]
async fn no_reply_and_no_sight_of_a_write_before_its_sync() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    gate.set(true);
    let store = Store::open(Options { sync: Box::new(gate.clone()), ..options(dir.path()) }).await.unwrap();
    done(&store, put("a", Expect::Absent, "before")).await;
    let mut watcher = store.watch(KIND, "", 1).unwrap();

    gate.set(false);
    let waiting = gate.waiting.load(Ordering::SeqCst);
    let mut writes: Vec<_> = (0..10)
        .map(|n| {
            let (store, key) = (store.clone(), format!("b{n}"));
            tokio::spawn(async move { done(&store, put(&key, Expect::Absent, "held")).await })
        })
        .collect();
    while gate.waiting.load(Ordering::SeqCst) == waiting {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(writes.iter().all(|w| !w.is_finished()), "a reply left before the sync");
    assert_eq!((store.revision(), store.snapshot(KIND).count("")), (1, 1));
    assert_eq!(watcher.try_next(), Ok(None), "an event was seen before the sync");

    gate.set(true);
    let mut revisions = Vec::new();
    for write in &mut writes {
        revisions.push(write.await.unwrap());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=11).collect::<Vec<_>>());
    assert_eq!(drain(&mut watcher).len(), 10);
    store.shutdown().await;
}

/// Fails as long as it is told to.
#[derive(Default)]
struct Broken {
    failing: AtomicBool,
    full: bool,
}

impl SyncPolicy for Arc<Broken> {
    fn sync(&self, wal: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
        if self.failing.load(Ordering::SeqCst) {
            let kind = if self.full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
            return Err(io::Error::new(kind, "the platter is bent"));
        }
        wal()
    }
}

async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1500 {
        if let Some(result) = probe().await {
            return result;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 15 s: {what}");
}

async fn fails_and_recovers(full: bool) {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Broken { full, ..Broken::default() });
    let store = Store::open(Options { sync: Box::new(disk.clone()), ..options(dir.path()) }).await.unwrap();
    for n in 0..20 {
        done(&store, put(&format!("ns/{n}"), Expect::Absent, "x")).await;
    }
    let mut watcher = store.watch(KIND, "", 10).unwrap();
    let before = contents(&store.snapshot(KIND));

    disk.failing.store(true, Ordering::SeqCst);
    for key in ["lost/1", "lost/2"] {
        let error = store.write(put(key, Expect::Absent, "x")).await.unwrap_err();
        assert_eq!(matches!(error, WriteError::DiskFull(_)), full, "{error:?}");
        assert!(error.to_string().contains("platter"), "{error}");
    }
    until("health tells", async || store.health().err().filter(|e| e.contains("platter"))).await;
    assert_eq!(contents(&store.snapshot(KIND)), before, "reads go on");
    assert_eq!(drain(&mut watcher).len(), 10);

    disk.failing.store(false, Ordering::SeqCst);
    until("writes are taken again", async || store.write(put("ns/new", Expect::Any, "y")).await.ok()).await;
    until("health is well", async || store.health().ok()).await;
    // What was refused with an unknown end may have been done; what was acknowledged is there, in one history.
    for (key, revision) in &before {
        assert_eq!(store.get(KIND, key).unwrap().revision, *revision);
    }
    let mut after = 20;
    for event in drain(&mut watcher) {
        assert_eq!(event.revision, after + 1);
        after = event.revision;
    }
    assert_eq!(after, store.revision());
    let now = contents(&store.snapshot(KIND));
    store.shutdown().await;
    let store = open(dir.path()).await;
    assert_eq!(contents(&store.snapshot(KIND)), now);
    store.shutdown().await;
}

#[tokio::test]
async fn a_failing_disk_refuses_writes_and_recovers() {
    fails_and_recovers(false).await;
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_sync_refuses_writes_and_recovers() {
    fails_and_recovers(true).await;
}

/// A real file system that fills up: with the reserve, and without it so that the database itself runs out.
fn fills_up(test: &str, reserve_bytes: u64) {
    LoopFs::with(&format!("tests::trouble::{test}"), 96, |fs| {
        let home = fs.path().join("store");
        let options = || Options { reserve_bytes, ..Options::new(&home) };
        block_on(async {
            let store = Store::open(options()).await.unwrap();
            let body = "x".repeat(20_000);
            let mut acknowledged = vec![done(&store, put("ns/first", Expect::Absent, &body)).await];
            let ballast = fs.path().join("ballast");
            let mut written = Vec::new();
            let free = |left: u64| {
                let stat = nix::sys::statvfs::statvfs(&fs.path()).unwrap();
                (stat.blocks_available() * stat.fragment_size()).saturating_sub(left)
            };
            written.resize(free(6 << 20) as usize, 7u8);
            fs::write(&ballast, &written).unwrap();
            let mut error = None;
            for n in 0..3000 {
                match store.write(put(&format!("ns/{n}"), Expect::Absent, &body)).await {
                    Ok(Outcome::Done(stored)) => acknowledged.push(stored.revision),
                    Ok(other) => panic!("{other:?}"),
                    Err(e) => {
                        error = Some(e);
                        break;
                    }
                }
            }
            let error = error.expect("the disk never filled up");
            assert!(matches!(error, WriteError::DiskFull(_)), "{error:?}");
            until("health tells", async || store.health().err()).await;
            // Reads, lists and watches go on.
            assert!(store.get(KIND, "ns/first").is_some());
            assert!(store.snapshot(KIND).count("") >= acknowledged.len());
            assert_eq!(store.watch(KIND, "", 0).unwrap().next().await.unwrap().revision, 1);

            fs::remove_file(&ballast).unwrap();
            until("writes are taken again", async || {
                store.write(put("ns/again", Expect::Any, "y")).await.ok()
            })
            .await;
            until("health is well", async || store.health().ok()).await;
            let now = contents(&store.snapshot(KIND));
            store.shutdown().await;
            let store = Store::open(options()).await.unwrap();
            assert_eq!(contents(&store.snapshot(KIND)), now);
            let there: std::collections::BTreeSet<_> = now.iter().map(|(_, revision)| *revision).collect();
            assert!(
                acknowledged.iter().all(|revision| there.contains(revision)),
                "an acknowledged write is gone"
            );
            store.shutdown().await;
        });
    });
}

#[test]
fn a_disk_that_fills_up_refuses_writes_early_and_recovers() {
    fills_up("a_disk_that_fills_up_refuses_writes_early_and_recovers", 64 << 20);
}

#[test]
fn a_disk_that_is_full_to_the_last_byte_loses_nothing_and_recovers() {
    fills_up("a_disk_that_is_full_to_the_last_byte_loses_nothing_and_recovers", 0);
}

/// What a killed store leaves is opened on a disk without one free byte.
#[test]
fn a_killed_store_starts_again_on_a_full_disk() {
    let name = "tests::trouble::a_killed_store_starts_again_on_a_full_disk";
    LoopFs::with(name, 320, |fs| {
        let (home, killed, filler) =
            (fs.path().join("store"), fs.path().join("killed"), fs.path().join("filler"));
        block_on(async {
            let store = Store::open(Options::new(&home)).await.unwrap();
            let body = "x".repeat(20_000);
            for n in 0..400 {
                done(&store, put(&format!("ns/{n}"), Expect::Absent, &body)).await;
            }
            let before = contents(&store.snapshot(KIND));
            // Nobody writes now: these are the files as a kill would leave them.
            super::open::copy_dir(&home, &killed);
            store.shutdown().await;
            std::fs::remove_dir_all(&home).unwrap();
            let spare = || fs::metadata(killed.join("spare")).map(|m| m.len()).ok();
            assert!(spare().is_some_and(|bytes| bytes >> 20 >= 16), "{:?} bytes are held", spare());
            let mut file = fs::File::create(&filler).unwrap();
            let mut chunk = vec![7u8; 1 << 20];
            while !chunk.is_empty() {
                if io::Write::write_all(&mut file, &chunk).is_err() {
                    chunk.truncate(chunk.len() / 2);
                }
            }
            drop(file);

            let store = Store::open(Options::new(&killed)).await.unwrap();
            assert_eq!(contents(&store.snapshot(KIND)), before);
            let error = store.write(put("ns/new", Expect::Any, "y")).await.unwrap_err();
            assert!(matches!(error, WriteError::DiskFull(_)), "{error:?}");
            assert_eq!(spare(), None, "it was needed");

            fs::remove_file(&filler).unwrap();
            until("writes are taken again", async || store.write(put("ns/new", Expect::Any, "y")).await.ok())
                .await;
            assert!(spare().is_some(), "held again");
            store.shutdown().await;
        });
    });
}
