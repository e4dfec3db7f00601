//! Which backend a client of a service with session affinity has.

use crate::{Address, Be16};

/// A client of a service.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AffinityKey {
    /// The client's address; of a socket the cookie of its network namespace, in the first two words.
    pub client: Address,
    /// [`crate::Service::id`].
    pub service: u32,
    /// [`AffinityKey::BY_ADDRESS`] or [`AffinityKey::BY_NAMESPACE`].
    pub kind: u32,
}

impl AffinityKey {
    /// The client is known by its packets.
    pub const BY_ADDRESS: u32 = 0;
    /// The client is known by its sockets.
    pub const BY_NAMESPACE: u32 = 1;
}

/// The backend that a client has; it counts only while it is a [`Member`].
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Affinity {
    /// Endpoint address.
    pub address: Address,
    /// Endpoint port.
    pub port: Be16,
    /// Padding, always zero.
    pub reserved: [u16; 3],
    /// When the client last opened a connection, coarse monotonic nanoseconds.
    pub seen_ns: u64,
}

/// A backend of a service with session affinity: the key of a set.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Member {
    /// Endpoint address.
    pub address: Address,
    /// Endpoint port.
    pub port: Be16,
    /// Padding, always zero.
    pub reserved: u16,
    /// [`crate::Service::id`].
    pub service: u32,
}
