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
    /// Padding, always zero.
    pub reserved: u8,
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
    /// Reserved for affinity and traffic policies, zero.
    pub flags: u32,
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
