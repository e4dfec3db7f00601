use proptest::prelude::*;

use super::*;

fn any_write() -> impl Strategy<Value = Write> {
    let expect =
        prop_oneof![Just(Expect::Absent), Just(Expect::Any), any::<u64>().prop_map(Expect::Revision)];
    let template = || {
        (prop::collection::vec(any::<u8>(), 0..40), 0usize..50)
            .prop_map(|(json, version_at)| Template { json, version_at })
    };
    (any::<bool>(), "[a-z.]{1,12}", "[a-zé/-]{1,12}", expect, template(), prop::option::of(template()))
        .prop_map(|(put, kind, key, expect, value, last)| {
            let kind = kind.into();
            if put {
                Write::Put { kind, key, expect, value }
            } else {
                Write::Delete { kind, key, expect, last }
            }
        })
}

fn two_members() -> Membership<u64, BasicNode> {
    let node = |addr: &str| BasicNode { addr: addr.into() };
    Membership::new(
        vec![BTreeSet::from([1, 2]), BTreeSet::from([2])],
        BTreeMap::from([(1, node("a:1")), (2, node("b:2")), (3, node("learner:3"))]),
    )
    .unwrap()
}

fn any_payload() -> impl Strategy<Value = EntryPayload<Batch, u64, BasicNode>> {
    prop_oneof![
        Just(EntryPayload::Blank),
        Just(EntryPayload::Membership(two_members())),
        prop::collection::vec(any_write(), 0..5).prop_map(|w| EntryPayload::Normal(Batch(w.into()))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn entries_come_back_as_they_went_and_no_cut_of_them_does(
        term in any::<u64>(), index in any::<u64>(), payload in any_payload(),
    ) {
        let entry = LogEntry { log_id: log_id(term, index), payload };
        let bytes = encode_entry(&entry);
        let back = decode_entry(index, &bytes).unwrap();
        prop_assert_eq!(back.log_id, entry.log_id);
        prop_assert_eq!(encode_entry(&back), bytes.clone());
        for cut in 0..bytes.len() {
            prop_assert!(decode_entry(index, &bytes[..cut]).is_err());
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), head in 0u8..4) {
        let mut framed = vec![FORMAT, 0, 0, 0, 0, 0, 0, 0, 0, head];
        framed.extend_from_slice(&bytes);
        for bytes in [&bytes, &framed] {
            let _ = (decode_entry(1, bytes), decode_members(bytes), decode_vote(bytes), decode_log_id(bytes));
            let _ = decode_applied(bytes);
        }
    }
}

#[test]
fn small_records_come_back() {
    for id in [None, Some(log_id(3, 9))] {
        assert_eq!(decode_log_id(&encode_log_id(id.as_ref())).unwrap(), id);
        assert_eq!(decode_applied(&encode_applied(id.as_ref(), 77)).unwrap(), (id, 77));
        for membership in [Membership::default(), two_members()] {
            let members = StoredMembership::new(id, membership);
            assert_eq!(decode_members(&encode_members(&members)).unwrap(), members);
        }
    }
    let vote = VoteOf::<Types> { leader_id: LeaderId { term: 4, voted_for: 2 }, committed: true };
    assert_eq!(decode_vote(&encode_vote(&vote)).unwrap(), vote);
}

#[test]
fn another_format_is_named() {
    let error = decode_vote(&[9, 0, 0]).unwrap_err().to_string();
    assert!(error.contains("format 9") && error.contains("reads 1"), "{error}");
}
