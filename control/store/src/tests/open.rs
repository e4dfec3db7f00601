//! Opening: what is there again, and what is refused with which words.

use std::fs;

use super::*;

#[tokio::test]
async fn a_write_is_there_after_a_restart_and_the_revision_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    assert_eq!(store.revision(), 0);
    assert_eq!(done(&store, put("ns/a", Expect::Absent, "one")).await, 1);
    assert_eq!(done(&store, put("ns/b", Expect::Absent, "two")).await, 2);
    assert_eq!(done(&store, delete("ns/b", Expect::Revision(2))).await, 3);
    store.shutdown().await;

    let store = open(dir.path()).await;
    assert_eq!(store.revision(), 3);
    let stored = store.get(KIND, "ns/a").unwrap();
    assert_eq!((stored.revision, &stored.bytes[..]), (1, json(1, "one").as_bytes()));
    assert_eq!(store.get(KIND, "ns/b"), None);
    assert_eq!(done(&store, put("ns/c", Expect::Absent, "three")).await, 4);
    let conflict = store.write(put("ns/a", Expect::Absent, "x")).await.unwrap();
    assert_eq!(conflict, Outcome::Conflict(Some(stored)));
    store.shutdown().await;
}

#[tokio::test]
async fn a_directory_in_use_is_refused_and_free_after_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let error = Store::open(options(dir.path())).await.err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("stop it first"), "{error}");
    let other_handle = store.clone();
    store.shutdown().await;
    assert_eq!(other_handle.write(put("a", Expect::Any, "x")).await, Err(WriteError::ShuttingDown));
    assert!(other_handle.health().is_err());
    open(dir.path()).await.shutdown().await;
}

/// Every file of the database in turn cut, filled with rubbish or removed: a clear error or an intact store.
#[tokio::test]
async fn damaged_files_are_named() {
    let origin = tempfile::tempdir().unwrap();
    let store = open(origin.path()).await;
    for n in 0..50 {
        done(&store, put(&format!("ns/{n}"), Expect::Absent, &"x".repeat(2000))).await;
    }
    store.shutdown().await;
    // Opened once more, so that there are objects in files and others in the write-ahead log.
    let store = open(origin.path()).await;
    done(&store, put("other/x", Expect::Absent, "x")).await;
    store.shutdown().await;

    let mut refused = 0;
    for name in ["CURRENT", "MANIFEST", ".sst", ".log"] {
        for damage in ["cut", "rubbish", "removed"] {
            let copy = tempfile::tempdir().unwrap();
            copy_dir(origin.path(), copy.path());
            let victims: Vec<_> = fs::read_dir(copy.path().join("db"))
                .unwrap()
                .map(|e| e.unwrap().path())
                .filter(|p| p.to_str().unwrap().contains(name))
                .collect();
            assert!(!victims.is_empty(), "no file like {name}");
            for victim in &victims {
                let bytes = fs::read(victim).unwrap();
                match damage {
                    "cut" => fs::write(victim, &bytes[..bytes.len() / 2]).unwrap(),
                    "rubbish" => fs::write(victim, vec![0x5a; bytes.len()]).unwrap(),
                    _ => fs::remove_file(victim).unwrap(),
                }
            }
            match Store::open(options(copy.path())).await {
                Err(error) => {
                    let text = error.to_string();
                    assert!(matches!(error, OpenError::Damaged { .. }), "{name} {damage}: {error:?}");
                    assert!(text.contains(copy.path().to_str().unwrap()), "{name} {damage}: {text}");
                    assert!(text.contains("Restore"), "{name} {damage}: {text}");
                    refused += 1;
                }
                Ok(store) => {
                    assert_eq!(
                        store.snapshot(KIND).count("ns/"),
                        50,
                        "{name} {damage} lost objects silently"
                    );
                    store.shutdown().await;
                }
            }
        }
    }
    assert!(refused >= 11, "only {refused} of 12 damages were noticed");
}

/// A database that has vanished is not taken for a new store.
#[tokio::test]
async fn a_missing_database_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).await.shutdown().await;
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    let error = Store::open(options(dir.path())).await.err().unwrap();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
