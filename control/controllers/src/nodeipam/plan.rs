//! Pod ranges for nodes out of the cluster's range.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses, always held as 128 bit; IPv4 is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    base: u128,
    /// Of the mapped form: 96 more than the written length for IPv4.
    prefix: u8,
    v4: bool,
}

/// A range that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a range of addresses")]
pub struct RangeError(String);

impl Range {
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        let bad = || RangeError(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        let (bits, v4) = match address {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().to_bits(), true),
            IpAddr::V6(v6) => (v6.to_bits(), false),
        };
        let prefix = if v4 { prefix.checked_add(96).ok_or_else(bad)? } else { prefix };
        if prefix > 128 {
            return Err(bad());
        }
        Ok(Self { base: bits & mask(prefix), prefix, v4 })
    }

    /// How many parts of length `prefix` (of the mapped form) the range has.
    fn parts(&self, prefix: u8) -> u64 {
        1_u64.checked_shl(u32::from(prefix.saturating_sub(self.prefix))).unwrap_or(u64::MAX)
    }

    fn part(&self, prefix: u8, index: u64) -> Range {
        let step = 128 - u32::from(prefix);
        Range { base: self.base | (u128::from(index) << step), prefix, v4: self.v4 }
    }

    /// The indexes of the parts that another range touches: first and last.
    fn covered(&self, prefix: u8, other: &Range) -> Option<(u64, u64)> {
        let shorter = self.prefix.min(other.prefix);
        if self.base & mask(shorter) != other.base & mask(shorter) {
            return None;
        }
        let last_part = self.parts(prefix) - 1;
        if other.prefix <= self.prefix {
            return Some((0, last_part));
        }
        let index = |address: u128| u64::try_from((address - self.base) >> (128 - u32::from(prefix)));
        let end = other.base | !mask(other.prefix);
        Some((index(other.base).ok()?, index(end).ok()?))
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = Ipv6Addr::from_bits(self.base);
        match address.to_ipv4_mapped() {
            Some(v4) if self.v4 => write_v4(f, v4, self.prefix - 96),
            _ => write!(f, "{address}/{}", self.prefix),
        }
    }
}

fn write_v4(f: &mut std::fmt::Formatter<'_>, address: Ipv4Addr, prefix: u8) -> std::fmt::Result {
    write!(f, "{address}/{prefix}")
}

/// Which parts of the cluster's range are taken, by which node.
pub(super) struct Pool {
    cluster: Range,
    /// Of the mapped form.
    node_prefix: u8,
    used: BTreeSet<u64>,
    by_node: HashMap<String, Vec<u64>>,
}

impl Pool {
    /// Nodes get /24 of IPv4 and /64 of IPv6 ranges, as in Kubernetes.
    pub(super) fn new(cluster: Range) -> Self {
        let node_prefix = if cluster.v4 { 96 + 24 } else { 64 };
        let node_prefix = node_prefix.max(cluster.prefix);
        Self { cluster, node_prefix, used: BTreeSet::new(), by_node: HashMap::new() }
    }

    /// Notes the ranges that a node has. Ranges outside of the cluster's are the administrator's business.
    pub(super) fn occupy<'a>(&mut self, node: &str, ranges: impl Iterator<Item = &'a str>) {
        for range in ranges.filter_map(|r| Range::parse(r).ok()) {
            let Some((first, last)) = self.cluster.covered(self.node_prefix, &range) else { continue };
            let taken: Vec<u64> = (first..=last).filter(|i| self.used.insert(*i)).collect();
            self.by_node.entry(node.to_owned()).or_default().extend(taken);
        }
    }

    /// Gives back what a node had.
    pub(super) fn release(&mut self, node: &str) {
        for index in self.by_node.remove(node).unwrap_or_default() {
            self.used.remove(&index);
        }
    }

    /// The lowest free part, now the node's; the one it was given before if there is one.
    pub(super) fn allocate(&mut self, node: &str) -> Option<Range> {
        if let Some(index) = self.by_node.get(node).and_then(|i| i.first()) {
            return Some(self.cluster.part(self.node_prefix, *index));
        }
        let mut free = 0;
        for used in &self.used {
            if *used != free {
                break;
            }
            free += 1;
        }
        if free >= self.cluster.parts(self.node_prefix) {
            return None;
        }
        self.used.insert(free);
        self.by_node.insert(node.to_owned(), vec![free]);
        Some(self.cluster.part(self.node_prefix, free))
    }
}
