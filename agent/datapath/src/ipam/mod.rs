//! Pod addresses of this node. Pure: the attachments on disk say which are taken, so none can leak.

use crate::tables::Prefix;
use keelson_ebpf_abi::Address;
use std::collections::BTreeSet;

/// The node's range and what is taken of it.
#[derive(Clone, Debug)]
pub struct Ipam {
    range: Prefix,
    taken: BTreeSet<Address>,
    /// Offset tried next, so that an address rests as long as possible before it is used again.
    next: u64,
}

/// No address is free.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {size} pod addresses of {range} are in use")]
pub struct Exhausted {
    /// The node's range.
    pub range: Prefix,
    /// Usable addresses.
    pub size: u64,
}

impl Ipam {
    /// A range with the addresses that attachments hold already.
    pub fn new(range: Prefix, taken: impl IntoIterator<Item = Address>) -> Self {
        Self { range, taken: taken.into_iter().collect(), next: 1 }
    }

    /// The node's range.
    pub fn range(&self) -> Prefix {
        self.range
    }

    /// Takes the next free address. The first and the last of a range stay unused: some stacks treat them as
    /// network and broadcast.
    pub fn take(&mut self) -> Result<Address, Exhausted> {
        let usable = self.range.size().saturating_sub(2);
        for step in 0..usable {
            let offset = (self.next - 1 + step) % usable + 1;
            let Some(address) = self.range.nth(offset) else { break };
            if self.taken.insert(address) {
                self.next = offset % usable + 1;
                return Ok(address);
            }
        }
        Err(Exhausted { range: self.range, size: usable })
    }

    /// Gives an address back; one that was not taken is fine.
    pub fn release(&mut self, address: Address) {
        self.taken.remove(&address);
    }

    /// Addresses in use.
    pub fn in_use(&self) -> usize {
        self.taken.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::tests::address;

    #[test]
    fn every_address_is_given_once_and_comes_back() {
        let mut ipam = Ipam::new("10.244.1.0/29".parse().unwrap(), [address("10.244.1.3")]);
        let given: Vec<_> = (0..5).map(|_| ipam.take().unwrap().to_string()).collect();
        assert_eq!(given, ["10.244.1.1", "10.244.1.2", "10.244.1.4", "10.244.1.5", "10.244.1.6"]);
        assert_eq!(ipam.take().unwrap_err().to_string(), "all 6 pod addresses of 10.244.1.0/29 are in use");
        ipam.release(address("10.244.1.2"));
        assert_eq!(ipam.take(), Ok(address("10.244.1.2")));
    }

    #[test]
    fn a_released_address_rests() {
        let mut ipam = Ipam::new("10.244.1.0/24".parse().unwrap(), []);
        let first = ipam.take().unwrap();
        ipam.release(first);
        assert_ne!(ipam.take().unwrap(), first);
    }
}
