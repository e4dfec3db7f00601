//! Services and their backends.

use crate::{Address, Be16};

/// Where a client knocks, and from where. The unspecified address stands for any node's address (NodePort).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceKey {
    /// Service address.
    pub address: Address,
    /// Service port.
    pub port: Be16,
    /// IANA protocol number.
    pub protocol: u8,
    /// [`ServiceKey::INSIDE`] or [`ServiceKey::OUTSIDE`].
    pub scope: u8,
}

impl ServiceKey {
    /// A pod or a process of the node knocks.
    pub const INSIDE: u8 = 0;
    /// A packet from outside has arrived at the outer interface.
    pub const OUTSIDE: u8 = 1;
}

/// What answers there: `base..base + count` of the BACKENDS array.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Service {
    /// Index of the first backend.
    pub base: u32,
    /// Number of backends; 0 refuses.
    pub count: u32,
    /// Number of the service port, for flows and counters; never 0.
    pub id: u32,
    /// [`Service::LOCAL`] and the following.
    pub flags: u32,
    /// How long a client stays with its backend, seconds; 0 without [`Service::AFFINITY`].
    pub affinity_seconds: u32,
}

impl Service {
    /// Only backends of this node answer and see the client's own address; without one the packet is dropped.
    pub const LOCAL: u32 = 1;
    /// A client stays with its backend for `affinity_seconds` after it was last seen.
    pub const AFFINITY: u32 = 2;
}

/// One endpoint of a service port.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Backend {
    /// Endpoint address.
    pub address: Address,
    /// Endpoint port.
    pub port: Be16,
    /// Padding, always zero.
    pub reserved: u16,
    /// Reserved for zone and state, zero.
    pub flags: u32,
}
