//! Raft snapshots: built from a live store, installed into another, and the log shortened behind them.

use std::fs;

use openraft::RaftSnapshotBuilder;
use openraft::storage::RaftStateMachine;

use super::*;
use crate::disk::{Disk, LOG};
use crate::raft::checkpoint;
use crate::raft::machine::Machine;
use crate::raft::writer::Fault;
use crate::view::View;

fn machine(dir: &Path) -> (Arc<Disk>, Arc<View>, Machine) {
    fs::create_dir_all(dir).unwrap();
    let disk = Arc::new(Disk::open(&dir.join("db"), true).unwrap());
    let view = Arc::new(View::new(100, 1 << 20));
    let machine =
        Machine::open(disk.clone(), view.clone(), Arc::new(Fault::default()), dir.join("snapshots")).unwrap();
    (disk, view, machine)
}

#[tokio::test]
async fn a_snapshot_carries_state_and_history_into_another_store() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(from.path()).await;
    for n in 0..300 {
        done(&store, put(&format!("ns/{}", n % 50), Expect::Any, "x")).await;
    }
    done(&store, delete("ns/7", Expect::Any)).await;
    let expected = contents(&store.snapshot(KIND));
    store.shutdown().await;

    let (_disk, _, mut source) = machine(from.path());
    let mut builder = source.get_snapshot_builder().await;
    let first = builder.build_snapshot().await.unwrap();
    let snapshot = builder.build_snapshot().await.unwrap();
    assert_eq!(first.meta, snapshot.meta);
    assert_eq!(source.get_current_snapshot().await.unwrap().unwrap().meta, snapshot.meta);

    // The receiver has a state of its own, all of which must go.
    let store = open(to.path()).await;
    done(&store, put("ns/mine", Expect::Absent, "gone")).await;
    store.shutdown().await;
    let received = to.path().join("snapshots/received");
    super::open::copy_dir(&snapshot.snapshot.dir, &received);
    let (target_disk, view, mut target) = machine(to.path());
    let data = checkpoint::Checkpointed { dir: received };
    target.install_snapshot(&snapshot.meta, data).await.unwrap();
    assert_eq!(target.applied_state().await.unwrap().0, snapshot.meta.last_log_id);
    view.set_disk(Some(target_disk));
    let tree = |revision| Snapshot::new(revision, view.tree_at(KIND, revision).unwrap());
    assert_eq!(contents(&tree(301)), expected);
    assert_eq!(contents(&tree(10)).len(), 10, "history came along");
    let kept = target.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!(kept.meta, snapshot.meta);
    assert_eq!(fs::read_dir(to.path().join("snapshots")).unwrap().count(), 1, "one snapshot is kept");
}

/// The log is shortened behind a snapshot, and the store opens with what is left.
#[tokio::test]
async fn the_log_is_purged_behind_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options { snapshot_log_bytes: 1 << 20, ..options(dir.path()) };
    let store = Store::open(options()).await.unwrap();
    let body = "x".repeat(20_000);
    let snapshots = dir.path().join("snapshots");
    let made = |snapshots: &Path| fs::read_dir(snapshots).map_or(0, |entries| entries.count());
    for n in 0.. {
        done(&store, put(&format!("ns/{}", n % 3), Expect::Any, &body)).await;
        if made(&snapshots) > 0 && n > 200 {
            break;
        }
    }
    // The log is shortened a moment after the snapshot.
    for _ in 0..50 {
        done(&store, put("ns/0", Expect::Any, &body)).await;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let expected = contents(&store.snapshot(KIND));
    store.shutdown().await;
    {
        let disk = Disk::open(&dir.path().join("db"), false).unwrap();
        let mut iter = disk.db.raw_iterator_cf(&disk.cf(LOG).unwrap());
        iter.seek_to_first();
        let first = u64::from_be_bytes(iter.key().unwrap().try_into().unwrap());
        assert!(first > 1, "the log starts at {first}");
    }
    let store = Store::open(options()).await.unwrap();
    assert_eq!(contents(&store.snapshot(KIND)), expected);
    store.shutdown().await;
}
