//! What differs between two ordered maps.

use std::collections::BTreeMap;

/// The writes that turn one map into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff<K, V> {
    /// Keys to write.
    pub set: Vec<(K, V)>,
    /// Keys to remove.
    pub remove: Vec<K>,
}

/// Compares what is with what should be.
pub fn diff<K: Ord + Copy, V: PartialEq + Copy>(is: &BTreeMap<K, V>, should: &BTreeMap<K, V>) -> Diff<K, V> {
    let changed = should.iter().filter(|(key, value)| is.get(key) != Some(value));
    let gone = is.keys().filter(|key| !should.contains_key(key));
    Diff { set: changed.map(|(key, value)| (*key, *value)).collect(), remove: gone.copied().collect() }
}
