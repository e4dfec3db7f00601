//! Services and their backends.

use crate::{Address, Be16};

/// Where a client knocks. The unspecified address stands for any node's address (NodePort).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceKey {
    /// Service address.
    pub address: Address,
    /// Service port.
    pub port: Be16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Who knocks: [`ServiceKey::INSIDE`] or [`ServiceKey::OUTSIDE`]. What can be reached from both sides has an
    /// entry for each.
    pub scope: u8,
}

impl ServiceKey {
    /// A pod, or a process of this node.
    pub const INSIDE: u8 = 0;
    /// A packet that came in through the outer interface.
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
    /// Number of the service port, for flows, affinity and counters; never 0, the same as long as its key is there.
    pub id: u32,
    /// [`Service::LOCAL`] and the following.
    pub flags: u32,
    /// How long a client stays with its backend after its last new connection, seconds, 1 to 86,400; 0 without
    /// [`Service::AFFINITY`].
    pub affinity_seconds: u32,
}

impl Service {
    /// The backends are this node's alone, and the client's address is kept.
    pub const LOCAL: u32 = 1;
    /// A client stays with its backend.
    pub const AFFINITY: u32 = 2;
    /// There is no backend here, but there is one on another node: packets are dropped, not refused, so that a load
    /// balancer or a client tries elsewhere (as kube-proxy has it).
    pub const ELSEWHERE: u32 = 4;
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
