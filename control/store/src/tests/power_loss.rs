//! Power loss on a real file system: bytes that were not synced are gone.

use std::io;
use std::time::Duration;

use super::loop_fs::{LoopFs, block_on};
use super::*;

/// Leaves the sync out, and says that all is well.
struct NoSync;

impl SyncPolicy for NoSync {
    fn sync(&self, _wal: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
        Ok(())
    }
}

/// Writes from 16 tasks until the power goes; gives what was acknowledged.
async fn write_until_power_loss(fs: &LoopFs, sync: Box<dyn SyncPolicy>) -> Vec<(String, u64)> {
    let store =
        Store::open(Options { sync, snapshot_log_bytes: 100_000, ..options(&fs.path()) }).await.unwrap();
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    let key = format!("w{writer}/{n}");
                    match store.write(put(&key, Expect::Absent, &key)).await {
                        Ok(Outcome::Done(stored)) => acknowledged.push((key, stored.revision)),
                        Ok(other) => panic!("{other:?}"),
                        Err(_) => break,
                    }
                }
                acknowledged
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(700)).await;
    fs.cut_power();
    // A write that needs no disk any more could still be acknowledged without its sync: wait for the failure.
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.clone().shutdown().await;
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    acknowledged
}

/// How many acknowledged writes are gone after the power came back.
async fn count_lost(fs: &LoopFs, acknowledged: &[(String, u64)]) -> usize {
    let Ok(store) = Store::open(options(&fs.path())).await else { return acknowledged.len() };
    let lost = acknowledged.iter().filter(|(key, revision)| {
        let stored = store.get(KIND, key);
        stored.is_none_or(|s| s.revision != *revision || s.bytes != json(*revision, key).as_bytes())
    });
    let lost = lost.count();
    if lost == 0 {
        // Not only there: the store works.
        let next = store.revision() + 1;
        assert_eq!(done(&store, put("after", Expect::Absent, "x")).await, next);
    }
    store.shutdown().await;
    lost
}

fn lost_after_power_loss(fs: &LoopFs, sync: Box<dyn SyncPolicy>) -> (usize, usize) {
    let acknowledged = block_on(write_until_power_loss(fs, sync));
    fs.unmount();
    fs.mount();
    (block_on(count_lost(fs, &acknowledged)), acknowledged.len())
}

#[test]
fn every_acknowledged_write_survives_power_loss() {
    LoopFs::with("tests::power_loss::every_acknowledged_write_survives_power_loss", 256, |fs| {
        let (lost, acknowledged) = lost_after_power_loss(fs, Box::new(WalSync));
        assert!(acknowledged > 200, "only {acknowledged} writes were acknowledged");
        assert_eq!(lost, 0, "of {acknowledged}");
    });
}

/// The test above can fail: with the sync taken out it does.
#[test]
fn without_the_sync_acknowledged_writes_are_lost() {
    LoopFs::with("tests::power_loss::without_the_sync_acknowledged_writes_are_lost", 256, |fs| {
        let (lost, acknowledged) = lost_after_power_loss(fs, Box::new(NoSync));
        assert!(lost > 0, "none of {acknowledged} writes was lost: this test proves nothing");
    });
}
