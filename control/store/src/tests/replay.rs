//! The state machine's writes are not synced: what a crash takes from them, the log brings back.

use rocksdb::WriteBatch;

use super::*;
use crate::codec;
use crate::disk::{APPLIED, Disk, EVENTS, META, OBJECTS, records};
use crate::engine::Engine;
use crate::home::Home;
use crate::view::View;

/// Takes the state back to where it was at `position`; the log stays as it is.
fn lose_state_after(disk: &Disk, position: &[u8]) {
    let (_, revision) = codec::decode_applied(position).unwrap();
    let mut batch = WriteBatch::default();
    for family in [OBJECTS, EVENTS] {
        let family_handle = disk.cf(family).unwrap();
        let mut iter = disk.db.raw_iterator_cf(&family_handle);
        iter.seek_to_first();
        while let Some(key) = iter.key() {
            let of_key = match family {
                EVENTS => records::event_revision(key).unwrap(),
                _ => records::parse_object_key(key).unwrap().2,
            };
            if of_key > revision {
                batch.delete_cf(&family_handle, key);
            }
            iter.next();
        }
    }
    batch.put_cf(&disk.cf(META).unwrap(), APPLIED, position);
    disk.write(batch).unwrap();
}

async fn write_some(store: &Store, from: u64, to: u64) {
    for n in from..to {
        let key = format!("ns/{}", n % 6);
        match n % 5 {
            4 if store.get(KIND, &key).is_some() => done(store, delete(&key, Expect::Any)).await,
            _ => done(store, put(&key, Expect::Any, &format!("body {n}"))).await,
        };
    }
}

async fn start(dir: &Path, view: &Arc<View>) -> (Home, Engine) {
    let mut home = Home::enter(dir).unwrap();
    let engine = Engine::start(&mut home, Arc::new(WalSync), view).await.unwrap();
    (home, engine)
}

#[tokio::test]
async fn the_log_brings_back_what_the_state_has_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    write_some(&store, 0, 40).await;
    store.shutdown().await;
    let position = Disk::open(&dir.path().join("db"), false).unwrap().meta(APPLIED).unwrap().unwrap();
    let store = open(dir.path()).await;
    write_some(&store, 40, 90).await;
    let expected = contents(&store.snapshot(KIND));
    let events = drain(&mut store.watch(KIND, "", 0).unwrap());
    let revision = store.revision();
    store.shutdown().await;

    // A process that starts, and one that goes on after its database was opened afresh and shows more than that has.
    let view = Arc::new(View::new(30, 1 << 20));
    for round in ["fresh view", "view ahead of the disk"] {
        lose_state_after(&Disk::open(&dir.path().join("db"), false).unwrap(), &position);
        let (home, engine) = start(dir.path(), &view).await;
        assert_eq!(view.revision(), revision, "{round}");
        assert_eq!(contents(&Snapshot::new(revision, view.snapshot(KIND).1)), expected, "{round}");
        let kind = view.kind(KIND);
        let mut watcher = Watcher::new(view.clone(), kind, "", 0);
        assert_eq!(drain(&mut watcher), events, "{round}");
        let past = Snapshot::new(50, view.tree_at(KIND, 50).unwrap());
        assert!(past.count("") > 0);
        engine.stop(&home, &view).await;
    }
    let store = open(dir.path()).await;
    assert_eq!(contents(&store.snapshot(KIND)), expected);
    assert_eq!(drain(&mut store.watch(KIND, "", 0).unwrap()), events);
    store.shutdown().await;
}
