//! IPv4 networks in configuration.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network such as `10.96.0.0/12`; bits of the host part are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    pub address: Ipv4Addr,
    pub prefix: u8,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    #[error("{0:?} is no IPv4 network such as 10.96.0.0/12")]
    Form(String),
    #[error("{0} has bits set behind its prefix; the network is {1}")]
    HostBits(String, Cidr),
}

impl Cidr {
    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    /// The address `index` places after the first.
    pub fn nth(self, index: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits().saturating_add(index))
    }

    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask() == self.address.to_bits()
    }

    pub fn overlaps(self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let form = || CidrError::Form(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(form)?;
        let address: Ipv4Addr = address.parse().map_err(|_| form())?;
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32).ok_or_else(form)?;
        let whole = Self { address, prefix };
        let network = Self { address: Ipv4Addr::from_bits(address.to_bits() & whole.mask()), prefix };
        if network == whole { Ok(whole) } else { Err(CidrError::HostBits(text.to_owned(), network)) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> String {
        cidr.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let network: Cidr = "10.96.0.0/12".parse().unwrap();
        assert_eq!(network.to_string(), "10.96.0.0/12");
        assert_eq!(network.nth(1), Ipv4Addr::new(10, 96, 0, 1));
        for (address, wanted) in
            [([10, 96, 0, 10], true), ([10, 111, 255, 255], true), ([10, 112, 0, 0], false)]
        {
            assert_eq!(network.contains(address.into()), wanted, "{address:?}");
        }
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.overlaps(&network) && network.overlaps(&all));
        assert!(!network.overlaps(&"10.244.0.0/16".parse().unwrap()));
        for bad in ["", "10.96.0.0", "10.96.0.0/33", "10.96.0/12", "fd00::/8"] {
            assert_eq!(bad.parse::<Cidr>(), Err(CidrError::Form(bad.to_owned())));
        }
        let error = "10.96.0.1/12".parse::<Cidr>().unwrap_err().to_string();
        assert_eq!(error, "10.96.0.1/12 has bits set behind its prefix; the network is 10.96.0.0/12");
    }
}
