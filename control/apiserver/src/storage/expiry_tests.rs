use super::*;
use bytes::Bytes;
use keelson_store::Stored;
use serde_json::{Value, json};

const TTL: Duration = Duration::from_secs(10);

fn stored(revision: u64) -> Stored {
    Stored { revision, bytes: Bytes::new() }
}

fn put(ages: &mut Ages, key: &str, revision: u64, previous: Option<u64>, now: Millis) {
    let kind = EventKind::Put { created: previous.is_none() };
    let (value, previous) = (stored(revision), previous.map(stored));
    ages.note(&Event { revision, key: key.into(), kind, value, previous }, now);
}

fn due(ages: &mut Ages, now: Millis) -> Vec<(String, u64)> {
    ages.take_due(now, TTL).iter().map(|last| (last.key.to_string(), last.revision)).collect()
}

#[test]
fn the_time_counts_from_the_last_write() {
    let mut ages = Ages::default();
    assert_eq!(ages.wait(0, TTL), None);
    put(&mut ages, "t/a", 1, None, 0);
    put(&mut ages, "t/b", 2, None, 1000);
    put(&mut ages, "t/c", 3, None, 2000);
    put(&mut ages, "t/a", 4, Some(1), 3000);
    let gone = Event {
        revision: 5,
        key: "t/c".into(),
        kind: EventKind::Delete,
        value: stored(5),
        previous: Some(stored(3)),
    };
    ages.note(&gone, 4000);
    assert_eq!(ages.wait(4000, TTL), Some(Duration::from_secs(7)));
    assert_eq!(due(&mut ages, 10_999), []);
    assert_eq!(due(&mut ages, 11_000), [("t/b".to_owned(), 2)]);
    assert_eq!(due(&mut ages, 12_999), [], "written again, and removed by someone");
    let taken = ages.take_due(13_000, TTL);
    assert_eq!(taken, [Last { key: "t/a".into(), revision: 4, at: 3000 }]);
    assert_eq!(ages.wait(13_000, TTL), None);
    ages.put_back(taken);
    assert_eq!(ages.wait(14_000, TTL), Some(Duration::ZERO));
}

#[test]
fn batches_are_bounded_and_oldest_first() {
    let mut ages = Ages::default();
    let all = 2 * BATCH as u64 + 1;
    for revision in 1..=all {
        put(&mut ages, &format!("t/{revision}"), revision, None, 0);
    }
    let mut batches = Vec::new();
    let mut revisions = Vec::new();
    loop {
        let batch = ages.take_due(10_000, TTL);
        if batch.is_empty() {
            break;
        }
        batches.push(batch.len());
        revisions.extend(batch.iter().map(|last| last.revision));
    }
    assert_eq!(batches, [BATCH, BATCH, 1]);
    assert!(revisions.into_iter().eq(1..=all));
}

#[test]
fn what_documents_tell() {
    let at = |minute: u32| format!("2026-01-01T00:{minute:02}:00Z");
    let check = |document: Value, minute: Option<u32>| {
        let wanted = minute.map(|minute| time::parse(&at(minute)).unwrap());
        assert_eq!(told_time(document.to_string().as_bytes()), wanted, "{document}");
    };
    let created = json!({"creationTimestamp": at(1), "name": "a"});
    check(json!({"metadata": created}), Some(1));
    check(json!({"metadata": created, "lastTimestamp": null, "eventTime": null}), Some(1));
    check(json!({"metadata": created, "lastTimestamp": at(3), "firstTimestamp": at(0)}), Some(3));
    check(
        json!({"metadata": created, "eventTime": "2026-01-01T00:02:00.000000Z", "lastTimestamp": null}),
        Some(2),
    );
    let series = json!({"count": 2, "lastObservedTime": "2026-01-01T00:07:00.000000Z"});
    check(json!({"metadata": created, "eventTime": at(2), "series": series}), Some(7));
    check(json!({"metadata": created, "lastTimestamp": "yesterday"}), Some(1));
    check(json!({"metadata": {}}), None);
    check(json!([1]), None);
}

#[test]
fn later_writes_are_not_older() {
    let mut ages = Ages::default();
    for (revision, at) in [(1, -50), (2, -20), (3, -40), (4, 0), (5, -30)] {
        ages.by_revision.insert(revision, ("t/a".into(), at));
    }
    ages.settle();
    let settled: Vec<_> = ages.by_revision.values().map(|(_, at)| *at).collect();
    assert_eq!(settled, [-50, -20, -20, 0, 0]);
}
