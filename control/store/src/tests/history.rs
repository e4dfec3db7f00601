//! Watches and past states, over restarts, wraps of the ring and compaction.

use std::time::Duration;

use super::*;

fn revisions(events: &[Arc<Event>]) -> Vec<u64> {
    events.iter().map(|e| e.revision).collect()
}

#[tokio::test]
async fn events_tell_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut all = store.watch(KIND, "", 0).unwrap();
    let mut of_b = store.watch(KIND, "b/", 0).unwrap();
    done(&store, put("a/x", Expect::Absent, "1")).await;
    done(&store, put("b/x", Expect::Absent, "2")).await;
    done(&store, put("a/x", Expect::Any, "3")).await;
    done(&store, delete("a/x", Expect::Any)).await;
    let seen: Vec<_> = drain(&mut all)
        .iter()
        .map(|e| {
            let text = String::from_utf8(e.value.bytes.to_vec()).unwrap();
            (e.key.to_string(), e.kind, text, e.previous.as_ref().map(|p| p.revision))
        })
        .collect();
    let put = |created| EventKind::Put { created };
    assert_eq!(
        seen,
        [
            ("a/x".into(), put(true), json(1, "1"), None),
            ("b/x".into(), put(true), json(2, "2"), None),
            ("a/x".into(), put(false), json(3, "3"), Some(1)),
            ("a/x".into(), EventKind::Delete, json(4, "3"), Some(3)),
        ]
    );
    assert_eq!(revisions(&drain(&mut of_b)), [2]);
    assert_eq!((all.progress(), of_b.progress()), (4, 4));
    store.shutdown().await;
}

#[tokio::test]
async fn a_watch_resumes_over_a_restart_without_gap_or_duplicate() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..600 {
        done(&store, put(&format!("ns/{}", n % 7), Expect::Any, "x")).await;
    }
    let mut before = store.watch(KIND, "", 100).unwrap();
    let expected = drain(&mut before);
    assert_eq!(revisions(&expected), (101..=600).collect::<Vec<_>>());
    store.shutdown().await;

    let store = open(dir.path()).await;
    let mut resumed = store.watch(KIND, "", 100).unwrap();
    let (mut other, mut current) =
        (store.watch("pods", "", 600).unwrap(), store.watch(KIND, "", 600).unwrap());
    assert!(drain(&mut current).is_empty() && drain(&mut other).is_empty());
    done(&store, put("ns/new", Expect::Absent, "y")).await;
    let seen = drain(&mut resumed);
    assert_eq!(seen[..500], expected[..], "events differ after the restart");
    assert_eq!(revisions(&seen[500..]), [601]);
    assert_eq!(revisions(&drain(&mut current)), [601]);
    assert_eq!(other.progress(), 601);
    store.shutdown().await;
}

#[tokio::test]
async fn a_slow_watcher_goes_on_from_disk_when_the_ring_has_wrapped() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { history_events_per_kind: 8, ..options(dir.path()) };
    let store = Store::open(options).await.unwrap();
    let mut slow = store.watch(KIND, "", 0).unwrap();
    for n in 0..1000 {
        done(&store, put(&format!("ns/{}", n % 7), Expect::Any, "x")).await;
    }
    for revision in 1..=1000 {
        assert_eq!(slow.next().await.unwrap().revision, revision);
    }
    assert_eq!(slow.try_next(), Ok(None));
    store.shutdown().await;
}

#[tokio::test]
async fn waiting_watchers_wake_and_a_dropped_wait_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut watcher = store.watch(KIND, "", 0).unwrap();
    let nothing = tokio::time::timeout(Duration::from_millis(20), watcher.next()).await;
    assert!(nothing.is_err());
    let waiting = tokio::spawn(async move { (watcher.next().await.unwrap().revision, watcher) });
    done(&store, put("other/kind", Expect::Any, "x")).await;
    let (revision, mut watcher) =
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert_eq!(revision, 1);
    done(&store, put("other/kind", Expect::Any, "x")).await;
    assert_eq!(watcher.next().await.unwrap().revision, 2);
    let waiting = tokio::spawn(async move { watcher.next().await });
    store.shutdown().await;
    let end = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert_eq!(end, Err(HistoryError::Closed));
}

/// Reads up to a revision, in memory and on disk, and going to another watcher's place.
#[tokio::test]
async fn a_watcher_stops_where_it_is_told_and_can_be_moved_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { history_events_per_kind: 8, ..options(dir.path()) };
    let store = Store::open(options).await.unwrap();
    let (mut first, mut second) = (store.watch(KIND, "a/", 0).unwrap(), store.watch(KIND, "a/", 0).unwrap());
    let mut changes = store.changes(KIND);
    for n in 1..=6 {
        let key = if n % 2 == 0 { "b/x" } else { "a/x" };
        done(&store, put(key, Expect::Any, "x")).await;
    }
    assert_eq!((changes.changed().await, changes.newest()), (Ok(()), 6));
    let none = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
    assert!(none.is_err(), "told once");
    for (upto, want) in [(0, None), (4, Some(1)), (4, Some(3)), (4, None)] {
        let seen = first.next_until(upto).await.unwrap().map(|event| event.revision);
        assert_eq!(seen, want, "up to {upto}");
    }
    assert_eq!(first.place().after(), 4);
    let old = second.place();
    second.advance(first.place());
    assert_eq!(second.try_next_until(u64::MAX).map(|event| event.revision), Some(5));
    second.advance(old);
    assert_eq!((second.try_next_until(u64::MAX), second.place().after()), (None, 6));

    for _ in 0..300 {
        done(&store, put("a/x", Expect::Any, "x")).await;
    }
    assert_eq!(first.try_next_until(u64::MAX), None, "it is on disk only");
    for revision in [5].into_iter().chain(7..=50) {
        assert_eq!(first.next_until(50).await.unwrap().map(|event| event.revision), Some(revision));
    }
    assert_eq!(first.next_until(50).await, Ok(None));
    first.advance(store.watch(KIND, "a/", 300).unwrap().place());
    assert_eq!(first.next_until(u64::MAX).await.unwrap().map(|event| event.revision), Some(301));
    store.shutdown().await;
    assert_eq!(changes.changed().await, Err(HistoryError::Closed));
}

/// Lists of every revision that was ever reached, from memory, from disk, and after a restart.
#[tokio::test]
async fn every_kept_revision_can_be_listed() {
    let dir = tempfile::tempdir().unwrap();
    let small_ring = || Options { history_events_per_kind: 700, ..options(dir.path()) };
    let store = Store::open(small_ring()).await.unwrap();
    let mut model = std::collections::BTreeMap::new();
    let mut states = vec![Vec::new()];
    for n in 0..2000u64 {
        let key = format!("ns/{}", (n * 7919) % 97);
        if n % 3 == 2 && model.contains_key(&key) {
            done(&store, delete(&key, Expect::Any)).await;
            model.remove(&key);
        } else {
            model.insert(key.clone(), done(&store, put(&key, Expect::Any, "x")).await);
        }
        states.push(model.iter().map(|(k, v)| (k.clone(), *v)).collect::<Vec<_>>());
    }
    let check = |store: &Store| {
        for (revision, expected) in states.iter().enumerate().filter(|(r, _)| r % 37 == 0 || *r > 1990) {
            let snapshot = store.snapshot_at(KIND, revision as u64).unwrap();
            assert_eq!(snapshot.revision(), revision as u64);
            assert_eq!(&contents(&snapshot), expected, "at {revision}");
        }
        let future = store.snapshot_at(KIND, 2001).err();
        assert_eq!(future, Some(HistoryError::Future { current: 2000 }));
        assert_eq!(store.watch(KIND, "", 2001).err(), Some(HistoryError::Future { current: 2000 }));
    };
    check(&store);
    store.shutdown().await;
    let store = Store::open(small_ring()).await.unwrap();
    check(&store);
    store.shutdown().await;
}

#[tokio::test]
async fn old_history_is_dropped_and_the_rest_stays_complete() {
    let dir = tempfile::tempdir().unwrap();
    let few = || Options { history_revisions: 15, history_events_per_kind: 8, ..options(dir.path()) };
    let store = Store::open(few()).await.unwrap();
    done(&store, put("ns/old", Expect::Absent, "stays")).await;
    for n in 0..999 {
        let key = format!("ns/{}", n % 5);
        match n % 11 {
            10 if store.get(KIND, &key).is_some() => done(&store, delete(&key, Expect::Any)).await,
            _ => done(&store, put(&key, Expect::Any, "x")).await,
        };
    }
    let compacted = || match store.watch(KIND, "", 800) {
        Err(HistoryError::Compacted { oldest }) => Some(oldest),
        _ => None,
    };
    let oldest = loop {
        if let Some(oldest) = compacted().filter(|oldest| *oldest == 985) {
            break oldest;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(store.snapshot_at(KIND, oldest - 1).err(), Some(HistoryError::Compacted { oldest }));
    let at_floor = contents(&store.snapshot_at(KIND, oldest).unwrap());
    let now = contents(&store.snapshot(KIND));
    let mut watcher = store.watch(KIND, "", oldest).unwrap();
    let fold = |from: &[(String, u64)], events: &[Arc<Event>]| {
        let mut state: std::collections::BTreeMap<_, _> = from.iter().cloned().collect();
        for event in events {
            match event.kind {
                EventKind::Put { .. } => state.insert(event.key.to_string(), event.revision),
                EventKind::Delete => state.remove(&*event.key),
            };
        }
        state.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(fold(&at_floor, &drain(&mut watcher)), now);
    store.shutdown().await;

    let store = Store::open(few()).await.unwrap();
    assert_eq!(contents(&store.snapshot(KIND)), now);
    assert!(now.contains(&("ns/old".into(), 1)), "an object that lives keeps its newest version");
    assert_eq!(store.watch(KIND, "", oldest - 1).err(), Some(HistoryError::Compacted { oldest }));
    assert_eq!(contents(&store.snapshot_at(KIND, oldest).unwrap()), at_floor);
    store.shutdown().await;
}

/// Dropping history goes by kind: a quiet kind's watchers do not lose their place to a busy one.
#[tokio::test]
async fn a_quiet_kind_keeps_its_watchers() {
    let dir = tempfile::tempdir().unwrap();
    let few = Options { history_revisions: 50, ..options(dir.path()) };
    let store = Store::open(few).await.unwrap();
    let quiet =
        Write::Put { kind: "nodes".into(), key: "n1".into(), expect: Expect::Any, value: document("quiet") };
    done(&store, quiet.clone()).await;
    for _ in 0..500 {
        done(&store, put("ns/busy", Expect::Any, "x")).await;
    }
    while store.watch(KIND, "", 400).is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut watcher = store.watch("nodes", "", 1).unwrap();
    assert_eq!(contents(&store.snapshot_at("nodes", 300).unwrap()), [("n1".to_string(), 1)]);
    let revision = done(&store, quiet).await;
    assert_eq!(revisions(&drain(&mut watcher)), [revision]);
    store.shutdown().await;
}
