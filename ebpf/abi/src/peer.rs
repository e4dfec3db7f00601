//! Everything that is not an endpoint of this node: one longest-prefix lookup.

use crate::Address;

/// Key of the PEERS trie, as the kernel reads it: prefix length in bits of the 128, then the address.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerKey {
    /// 0 to 128; an IPv4 prefix counts from [`Address::MAPPED_BITS`].
    pub prefix_bits: u32,
    /// The address; bits beyond the prefix are zero in entries.
    pub address: Address,
}

/// What a range of addresses is.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Peer {
    /// The node to tunnel to, for [`Peer::NODE`] and [`Peer::PODS`].
    pub tunnel: Address,
    /// [`Peer::NODE`] and the following.
    pub kind: u32,
    /// The peer's class in policies; 0 is a peer that no policy names.
    pub class: u32,
}

impl Peer {
    /// An address of a node (this one or another).
    pub const NODE: u32 = 1;
    /// Pods of another node.
    pub const PODS: u32 = 2;
    /// Service addresses: what reaches routing has no service.
    pub const SERVICES: u32 = 3;
    /// The cluster's pod range: what matches nothing longer has no pod.
    pub const UNASSIGNED: u32 = 4;
}
