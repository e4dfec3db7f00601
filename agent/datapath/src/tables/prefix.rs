//! A range of addresses, in 128 bits.

use keelson_ebpf_abi::{Address, PeerKey};
use std::net::IpAddr;
use std::str::FromStr;

/// An address range such as `10.244.1.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The first address.
    pub address: Address,
    /// Fixed bits of the 128.
    pub bits: u32,
}

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a CIDR")]
pub struct PrefixError(String);

impl Prefix {
    /// The range of one address.
    pub fn host(address: Address) -> Self {
        Self { address, bits: 128 }
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: Address) -> bool {
        address.masked(self.bits) == self.address
    }

    /// The key of the peers' trie.
    pub fn key(&self) -> PeerKey {
        PeerKey { prefix_bits: self.bits, address: self.address }
    }

    /// The length as the family writes it.
    pub fn family_bits(&self) -> u8 {
        let skipped = if self.address.is_v4() { Address::MAPPED_BITS } else { 0 };
        (self.bits - skipped) as u8
    }

    /// The address `offset` after the first; `None` beyond the range.
    pub fn nth(&self, offset: u64) -> Option<Address> {
        let free_bits = 128 - self.bits;
        if free_bits < 64 && offset >> free_bits != 0 {
            return None;
        }
        let first = u128::from_be_bytes(self.address.bytes());
        Some(Address::from_bytes((first + u128::from(offset)).to_be_bytes()))
    }

    /// How many addresses it holds, at most `u64::MAX`.
    pub fn size(&self) -> u64 {
        1_u64.checked_shl(128 - self.bits).unwrap_or(u64::MAX)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let parse = || {
            let (address, bits) = text.split_once('/')?;
            let ip: IpAddr = address.parse().ok()?;
            let (most, skipped) = if ip.is_ipv4() { (32, Address::MAPPED_BITS) } else { (128, 0) };
            let bits: u32 = bits.parse().ok().filter(|bits| *bits <= most)?;
            let bits = bits + skipped;
            Some(Self { address: Address::from(ip).masked(bits), bits })
        };
        parse().ok_or_else(|| PrefixError(text.to_owned()))
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.family_bits())
    }
}
