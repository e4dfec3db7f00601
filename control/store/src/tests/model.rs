//! Random operations against a model that is a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Put { key: u8, expect: Condition },
    Delete { key: u8, expect: Condition, last: bool },
    Restart,
}

/// A condition relative to what is there when the write is sent.
#[derive(Clone, Copy, Debug)]
enum Condition {
    Absent,
    Any,
    Right,
    Wrong,
}

fn any_op() -> impl Strategy<Value = Op> {
    let condition = || {
        prop_oneof![
            Just(Condition::Absent),
            Just(Condition::Any),
            Just(Condition::Right),
            Just(Condition::Wrong)
        ]
    };
    prop_oneof![
        12 => (0u8..12, condition()).prop_map(|(key, expect)| Op::Put { key, expect }),
        6 => (0u8..12, condition(), any::<bool>())
            .prop_map(|(key, expect, last)| Op::Delete { key, expect, last }),
        1 => Just(Op::Restart),
    ]
}

type State = BTreeMap<String, (u64, String)>;

fn shown(snapshot: &Snapshot) -> State {
    snapshot
        .range("", None)
        .map(|(key, s)| (key.to_owned(), (s.revision, String::from_utf8(s.bytes.to_vec()).unwrap())))
        .collect()
}

fn fold(state: &mut State, event: &Event) {
    let text = String::from_utf8(event.value.bytes.to_vec()).unwrap();
    let before = match event.kind {
        EventKind::Put { .. } => state.insert(event.key.to_string(), (event.revision, text)),
        EventKind::Delete => state.remove(&*event.key),
    };
    assert_eq!(before.as_ref().map(|b| b.0), event.previous.as_ref().map(|p| p.revision));
    assert_eq!(event.kind == EventKind::Put { created: true }, before.is_none());
}

async fn run(ops: Vec<Op>) {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options { history_events_per_kind: 16, ..super::options(dir.path()) };
    let mut store = Store::open(options()).await.unwrap();
    let mut model = State::new();
    let mut states = vec![State::new()];
    let mut watched = State::new();
    let mut seen = 0;
    let mut watcher = store.watch(KIND, "", 0).unwrap();
    for (n, op) in ops.into_iter().enumerate() {
        let (write, body) = match op {
            Op::Restart => {
                store.shutdown().await;
                store = Store::open(options()).await.unwrap();
                watcher = store.watch(KIND, "", seen).unwrap();
                continue;
            }
            Op::Put { key, expect } => {
                let key = format!("ns/{key}");
                (put(&key, condition(&model, &key, expect), &format!("body {n}")), format!("body {n}"))
            }
            Op::Delete { key, expect, last } => {
                let key = format!("ns/{key}");
                let expect = condition(&model, &key, expect);
                let last = last.then(|| document("last"));
                (Write::Delete { kind: KIND.into(), key, expect, last }, String::new())
            }
        };
        let (key, revision) = (write.key().to_owned(), states.len() as u64);
        let there = model.get(&key).cloned();
        let done = holds(&write, there.as_ref().map(|t| t.0));
        let outcome = store.write(write.clone()).await.unwrap();
        if !done {
            let found = match outcome {
                Outcome::Conflict(found) => found,
                other => panic!("{other:?} instead of a conflict for {write:?}"),
            };
            assert_eq!(found.map(|f| f.revision), there.map(|t| t.0));
            continue;
        }
        let Outcome::Done(stored) = outcome else { panic!("{outcome:?} for {write:?}") };
        assert_eq!(stored.revision, revision);
        match &write {
            Write::Put { .. } => {
                model.insert(key, (revision, json(revision, &body)));
            }
            Write::Delete { last, .. } => {
                let before = model.remove(&key).unwrap();
                let expected = match last {
                    Some(_) => json(revision, "last"),
                    None => before.1.replace(&format!("\"{}\"", before.0), &format!("\"{revision}\"")),
                };
                assert_eq!(String::from_utf8(stored.bytes.to_vec()).unwrap(), expected);
            }
        }
        states.push(model.clone());
        if n % 5 == 0 {
            while let Some(event) = watcher.try_next().unwrap() {
                assert!(event.revision > seen);
                seen = event.revision;
                fold(&mut watched, &event);
            }
            assert_eq!(watched, model);
        }
    }
    assert_eq!(shown(&store.snapshot(KIND)), model);
    for (revision, state) in states.iter().enumerate() {
        assert_eq!(&shown(&store.snapshot_at(KIND, revision as u64).unwrap()), state, "at {revision}");
    }
    for (key, (revision, text)) in &model {
        let stored = store.get(KIND, key).unwrap();
        assert_eq!((stored.revision, &stored.bytes[..]), (*revision, text.as_bytes()));
    }
    let mut fresh = store.watch(KIND, "", 0).unwrap();
    let mut folded = State::new();
    while let Some(event) = fresh.try_next().unwrap() {
        fold(&mut folded, &event);
        assert_eq!(&folded, &states[event.revision as usize]);
    }
    store.shutdown().await;
}

fn condition(model: &State, key: &str, condition: Condition) -> Expect {
    let there = model.get(key).map_or(0, |(revision, _)| *revision);
    match condition {
        Condition::Absent => Expect::Absent,
        Condition::Any => Expect::Any,
        Condition::Right => Expect::Revision(there),
        Condition::Wrong => Expect::Revision(there + 1000),
    }
}

fn holds(write: &Write, there: Option<u64>) -> bool {
    match write {
        Write::Put { expect, .. } => match expect {
            Expect::Absent => there.is_none(),
            Expect::Any => true,
            Expect::Revision(r) => there == Some(*r),
        },
        Write::Delete { expect, .. } => match expect {
            Expect::Absent => false,
            Expect::Any => there.is_some(),
            Expect::Revision(r) => there == Some(*r),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_a_map_with_history(ops in prop::collection::vec(any_op(), 1..150)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(ops));
    }
}
