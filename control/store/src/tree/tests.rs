use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn entry(key: &str, revision: u64) -> Arc<Entry> {
    let stored = Stored { revision, bytes: Bytes::new() };
    Arc::new(Entry { key: key.into(), stored, version_at: 0 })
}

fn contents(tree: &Tree, from: &str) -> Vec<(String, u64)> {
    tree.iter_from(from).map(|e| (e.key.to_string(), e.stored.revision)).collect()
}

/// Every invariant of the nodes: order, counts, bounds, equal depth.
fn check_shape(node: &Node, low: &str, depth: usize) -> (usize, usize) {
    match node {
        Node::Leaf(entries) => {
            assert!(entries.len() <= WIDTH);
            assert!(entries.is_sorted_by(|a, b| a.key < b.key));
            assert!(entries.first().is_none_or(|e| *e.key >= *low), "a key under its bound");
            (entries.len(), depth)
        }
        Node::Inner(children) => {
            assert!(!children.is_empty() && children.len() <= WIDTH);
            assert!(children.is_sorted_by(|a, b| a.low < b.low));
            let shapes: Vec<_> = children
                .iter()
                .map(|child| {
                    let (len, depth) = check_shape(&child.node, &child.low, depth + 1);
                    assert_eq!(len, child.len);
                    assert!(len > 0, "an empty child");
                    (len, depth)
                })
                .collect();
            assert!(shapes.iter().all(|s| s.1 == shapes[0].1), "leaves at different depths");
            (shapes.iter().map(|s| s.0).sum(), shapes[0].1)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against the standard library's map; every published version keeps its contents.
    #[test]
    fn behaves_as_an_ordered_map_and_old_versions_stay(
        ops in prop::collection::vec((0u16..600, prop::bool::weighted(0.6)), 1..3000),
    ) {
        let mut tree = Tree::default();
        let mut model = BTreeMap::new();
        let mut published = Vec::new();
        for (n, (key, put)) in ops.iter().enumerate() {
            let key = format!("ns{}/{key:03}", key % 3);
            let expected = if *put { model.insert(key.clone(), n as u64) } else { model.remove(&key) };
            let old = if *put { tree.insert(entry(&key, n as u64)) } else { tree.remove(&key) };
            prop_assert_eq!(old.map(|e| e.stored.revision), expected);
            if n % 500 == 0 {
                published.push((tree.clone(), model.clone()));
            }
        }
        published.push((tree, model));
        for (tree, model) in published {
            check_shape(&tree.root, "", 0);
            prop_assert_eq!(tree.len(), model.len());
            let all: Vec<_> = model.iter().map(|(k, v)| (k.clone(), *v)).collect();
            prop_assert_eq!(contents(&tree, ""), all);
            for from in ["ns0/", "ns1/", "ns1/300", "ns2/599", "zz"] {
                let expected: Vec<_> =
                    model.range(from.to_string()..).map(|(k, v)| (k.clone(), *v)).collect();
                prop_assert_eq!(tree.rank(from), model.len() - expected.len());
                prop_assert_eq!(contents(&tree, from), expected);
            }
            for (key, revision) in &model {
                prop_assert_eq!(tree.get(key).map(|e| e.stored.revision), Some(*revision));
            }
        }
    }
}

#[test]
fn builds_from_sorted_entries_of_any_number() {
    for n in [0, 1, 2, 24, 25, 32, 33, 1000, 20_000] {
        let entries: Vec<_> = (0..n).map(|i| entry(&format!("{i:06}"), i)).collect();
        let mut tree = Tree::from_sorted(entries);
        check_shape(&tree.root, "", 0);
        assert_eq!(tree.len(), n as usize);
        assert_eq!(tree.iter_from("").count(), n as usize);
        tree.insert(entry("000000x", 1));
        assert_eq!(tree.len(), n as usize + 1);
        for i in 0..n {
            assert!(tree.remove(&format!("{i:06}")).is_some(), "{i} of {n}");
        }
        assert_eq!(contents(&tree, ""), [("000000x".to_string(), 1)]);
    }
}

#[test]
fn a_published_version_shares_what_did_not_change() {
    let entries: Vec<_> = (0..10_000u64).map(|i| entry(&format!("{i:06}"), i)).collect();
    let mut tree = Tree::from_sorted(entries);
    let before = tree.clone();
    tree.insert(entry("005000", 99));
    let (Node::Inner(a), Node::Inner(b)) = (&*before.root, &*tree.root) else { panic!("one leaf only") };
    let shared = a.iter().zip(b).filter(|(a, b)| Arc::ptr_eq(&a.node, &b.node)).count();
    assert_eq!(shared, a.len() - 1);
    assert_eq!(before.get("005000").unwrap().stored.revision, 5000);
}
