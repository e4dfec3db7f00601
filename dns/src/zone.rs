//! The table of answers: names of the cluster's zone and the reverse names of its addresses.
//!
//! Written by one feed, read by every query; each of its shards is locked for the length of a hash lookup.

use crate::records::Records;
use crate::wire::name::{Name, labels, strip_suffix};
use parking_lot::{Mutex, RwLock};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who says something of a name: a name may be known from several sources.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The zone's own names.
    Zone,
    Namespace(String),
    Service {
        namespace: String,
        name: String,
    },
}

/// What the table says of a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// The name exists, perhaps without records of the wanted type.
    Found(Arc<Records>),
    /// The name is in the zone and does not exist.
    NxDomain,
    /// The name may be in the zone: the view is not in sync yet.
    Unknown,
    /// The name is not of the zone: to be asked for elsewhere.
    Foreign,
}

struct Entry {
    parts: Vec<(Source, Records)>,
    merged: Arc<Records>,
}

type Shard = RwLock<HashMap<Name, Entry, rapidhash::fast::RandomState>>;

const SHARDS: usize = 16;

/// The zone's answers.
pub struct Zone {
    /// `cluster.local.`
    pub apex: Name,
    /// `pod.cluster.local.`
    pods: Name,
    shards: [Shard; SHARDS],
    hasher: rapidhash::fast::RandomState,
    /// The names of each source, to find what it no longer says.
    sources: Mutex<HashMap<Source, HashSet<Name>>>,
    synced: AtomicBool,
}

impl Zone {
    /// A table for `domain` (dotted), served at `address`; `None` when that is no domain name.
    pub fn new(domain: &str, address: IpAddr) -> Option<Self> {
        let apex = Name::parse(domain)?;
        let zone = Self {
            pods: Name::below(&["pod"], &apex)?,
            shards: std::array::from_fn(|_| Shard::default()),
            hasher: rapidhash::fast::RandomState::default(),
            sources: Mutex::default(),
            synced: AtomicBool::new(false),
            apex,
        };
        let records = crate::compile::zone(&zone.apex, address);
        zone.set(Source::Zone, records);
        Some(zone)
    }

    /// Whether the view that feeds the table is in sync: only then a missing name does not exist.
    pub fn set_synced(&self, synced: bool) {
        self.synced.store(synced, Ordering::Release);
    }

    pub fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    fn shard<Q: Hash + ?Sized>(&self, name: &Q) -> &Shard {
        // The upper bits: the maps inside use the lower ones.
        &self.shards[(self.hasher.hash_one(name) >> 48) as usize % SHARDS]
    }

    /// Replaces all that `source` says.
    pub fn set(&self, source: Source, records: Vec<(Name, Records)>) {
        let mut sources = self.sources.lock();
        let before = sources.remove(&source).unwrap_or_default();
        let now: HashSet<Name> = records.iter().map(|(name, _)| name.clone()).collect();
        for (name, records) in records {
            self.put(&source, name, records);
        }
        for name in before.difference(&now) {
            self.take(&source, name);
        }
        if !now.is_empty() {
            sources.insert(source, now);
        }
    }

    /// Every source that says something.
    pub fn sources(&self) -> Vec<Source> {
        self.sources.lock().keys().cloned().collect()
    }

    fn put(&self, source: &Source, name: Name, records: Records) {
        let mut shard = self.shard(name.as_wire()).write();
        let entry = shard.entry(name).or_insert_with(|| Entry { parts: Vec::new(), merged: Arc::default() });
        match entry.parts.iter_mut().find(|(s, _)| s == source) {
            Some((_, old)) => *old = records,
            None => entry.parts.push((source.clone(), records)),
        }
        entry.merge();
    }

    fn take(&self, source: &Source, name: &Name) {
        let mut shard = self.shard(name.as_wire()).write();
        let Some(entry) = shard.get_mut(name) else { return };
        entry.parts.retain(|(s, _)| s != source);
        if entry.parts.is_empty() {
            shard.remove(name);
        } else {
            entry.merge();
        }
    }

    /// Looks up a lower-case name in wire form.
    pub fn lookup(&self, name: &[u8]) -> Lookup {
        if let Some(entry) = self.shard(name).read().get(name) {
            return Lookup::Found(entry.merged.clone());
        }
        if strip_suffix(name, &self.apex).is_none() {
            return Lookup::Foreign;
        }
        if let Some(address) = strip_suffix(name, &self.pods).and_then(pod_address) {
            let mut records = Records::default();
            records.add_address(address);
            return Lookup::Found(Arc::new(records));
        }
        if self.is_synced() { Lookup::NxDomain } else { Lookup::Unknown }
    }
}

impl Entry {
    fn merge(&mut self) {
        let mut merged = Records::default();
        // In the order of sources, so that an answer does not depend on history.
        self.parts.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.parts.iter().for_each(|(_, records)| merged.merge(records));
        self.merged = Arc::new(merged);
    }
}

/// The address in `10-1-2-3.<namespace>`, the labels of a pod's name above `pod.<zone>`.
fn pod_address(above: &[u8]) -> Option<IpAddr> {
    let mut labels = labels(above);
    let (pod, _namespace) = (labels.next()?, labels.next()?);
    if labels.next().is_some() {
        return None;
    }
    let text = std::str::from_utf8(pod).ok()?;
    let v4 = text.replace('-', ".").parse().ok().map(IpAddr::V4);
    v4.or_else(|| text.replace('-', ":").parse().ok().map(IpAddr::V6))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(dotted: &str) -> Name {
        Name::parse(dotted).unwrap()
    }

    fn address(text: &str) -> Records {
        let mut records = Records::default();
        records.add_address(text.parse().unwrap());
        records
    }

    fn service(name: &str) -> Source {
        Source::Service { namespace: "default".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_source_replaces_only_what_it_said() {
        let zone = Zone::new("cluster.local", "10.96.0.10".parse().unwrap()).unwrap();
        zone.set_synced(true);
        let shared = name("1.0.0.10.in-addr.arpa");
        let says = |target: &str| Records { ptr: vec![name(target)], ..Records::default() };
        zone.set(
            service("a"),
            vec![(shared.clone(), says("a.x")), (name("a.cluster.local"), address("10.0.0.1"))],
        );
        zone.set(service("b"), vec![(shared.clone(), says("b.x"))]);
        let Lookup::Found(found) = zone.lookup(shared.as_wire()) else { panic!() };
        assert_eq!(found.ptr, [name("a.x"), name("b.x")]);
        zone.set(service("a"), Vec::new());
        let Lookup::Found(found) = zone.lookup(shared.as_wire()) else { panic!() };
        assert_eq!(found.ptr, [name("b.x")]);
        assert_eq!(zone.lookup(name("a.cluster.local").as_wire()), Lookup::NxDomain);
        zone.set(service("b"), Vec::new());
        assert_eq!(zone.lookup(shared.as_wire()), Lookup::Foreign);
        assert_eq!(zone.sources(), [Source::Zone]);
    }

    #[test]
    fn a_missing_name_is_unknown_until_in_sync() {
        let zone = Zone::new("cluster.local", "10.96.0.10".parse().unwrap()).unwrap();
        let missing = name("x.default.svc.cluster.local");
        assert_eq!(zone.lookup(missing.as_wire()), Lookup::Unknown);
        zone.set_synced(true);
        assert_eq!(zone.lookup(missing.as_wire()), Lookup::NxDomain);
        assert_eq!(zone.lookup(name("example.org").as_wire()), Lookup::Foreign);
    }

    #[test]
    fn pods_are_found_by_their_address() {
        let zone = Zone::new("cluster.local", "10.96.0.10".parse().unwrap()).unwrap();
        zone.set_synced(true);
        let check = |dotted: &str, expected: Option<&str>| {
            let found = match zone.lookup(name(dotted).as_wire()) {
                Lookup::Found(records) => Some((*records).clone()),
                _ => None,
            };
            assert_eq!(found, expected.map(address), "{dotted}");
        };
        check("10-1-2-3.default.pod.cluster.local", Some("10.1.2.3"));
        check("fd00--1.default.pod.cluster.local", Some("fd00::1"));
        check("10-1-2.default.pod.cluster.local", None);
        check("10-1-2-3.x.default.pod.cluster.local", None);
        check("10-1-2-3.pod.cluster.local", None);
    }
}
