//! A kind's objects at one revision.

use crate::object::Stored;
use crate::tree::Tree;

/// All objects of one kind as they were at one revision. Holding one costs the memory of what has changed since.
#[derive(Clone, Debug)]
pub struct Snapshot {
    revision: u64,
    tree: Tree,
}

impl Snapshot {
    pub(crate) fn new(revision: u64, tree: Tree) -> Snapshot {
        Snapshot { revision, tree }
    }

    /// The revision: a watch after it misses nothing and repeats nothing.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The object under `key`.
    pub fn get(&self, key: &str) -> Option<&Stored> {
        self.tree.get(key).map(|entry| &entry.stored)
    }

    /// The objects whose key starts with `prefix`, in the order of their keys, from behind `start_after`.
    pub fn range<'a>(
        &'a self,
        prefix: &'a str,
        start_after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, &'a Stored)> {
        let from = start_after.filter(|after| *after > prefix).unwrap_or(prefix);
        self.tree
            .iter_from(from)
            .skip_while(move |entry| start_after.is_some_and(|after| *entry.key <= *after))
            .take_while(move |entry| entry.key.starts_with(prefix))
            .map(|entry| (&*entry.key, &entry.stored))
    }

    /// Number of objects whose key starts with `prefix`; costs two searches.
    pub fn count(&self, prefix: &str) -> usize {
        match end_of(prefix) {
            Some(end) => self.tree.rank(&end) - self.tree.rank(prefix),
            None => self.tree.len() - self.tree.rank(prefix),
        }
    }

    /// Number of objects whose key starts with `prefix` and comes after `start_after`: what a list has left.
    pub fn count_after(&self, prefix: &str, start_after: &str) -> usize {
        let end = end_of(prefix).map_or(self.tree.len(), |end| self.tree.rank(&end));
        let behind = self.tree.rank(start_after) + usize::from(self.tree.get(start_after).is_some());
        end.saturating_sub(behind.max(self.tree.rank(prefix)))
    }
}

/// The smallest string greater than all strings with this prefix.
fn end_of(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // The next character, over the gap of the surrogates.
        let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::tree::Entry;

    fn snapshot(keys: &[&str]) -> Snapshot {
        let mut tree = Tree::default();
        for key in keys {
            let stored = Stored { revision: 1, bytes: Bytes::new() };
            tree.insert(Arc::new(Entry { key: (*key).into(), stored, version_at: 0 }));
        }
        Snapshot::new(1, tree)
    }

    #[test]
    fn ranges_and_counts_agree() {
        let s = snapshot(&["a/x", "b", "b/a", "b/b", "b/c", "b0", "c/a"]);
        let check = |prefix: &str, after: Option<&str>, expected: &[&str]| {
            let found: Vec<_> = s.range(prefix, after).map(|(key, _)| key).collect();
            assert_eq!(found, expected, "{prefix:?} after {after:?}");
            match after {
                None => assert_eq!(s.count(prefix), expected.len()),
                Some(after) => {
                    assert_eq!(s.count_after(prefix, after), expected.len(), "{prefix:?} {after:?}")
                }
            }
        };
        check("", None, &["a/x", "b", "b/a", "b/b", "b/c", "b0", "c/a"]);
        check("b/", None, &["b/a", "b/b", "b/c"]);
        check("b/", Some("b/a"), &["b/b", "b/c"]);
        check("b/", Some("b/aa"), &["b/b", "b/c"]);
        check("b/", Some("a"), &["b/a", "b/b", "b/c"]);
        check("b/", Some("b/c"), &[]);
        check("b/", Some("z"), &[]);
        check("", Some("b0"), &["c/a"]);
        check("z", None, &[]);
    }

    #[test]
    fn the_end_of_a_prefix_is_the_next_string_without_it() {
        assert_eq!(end_of("ns/"), Some("ns0".into()));
        assert_eq!(end_of(""), None);
        assert_eq!(end_of("\u{D7FF}"), Some("\u{E000}".into()));
        assert_eq!(end_of("a\u{10FFFF}"), Some("b".into()));
    }
}
