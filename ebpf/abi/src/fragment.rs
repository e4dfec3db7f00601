//! What later fragments of a datagram cannot say themselves.

use crate::{Address, Be16};

/// What the fragments of one datagram have in common (RFC 791).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FragmentKey {
    /// Sender.
    pub source: Address,
    /// Receiver.
    pub destination: Address,
    /// The datagram's identification.
    pub identification: Be16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Padding, always zero.
    pub reserved: u8,
}

/// The ports that stand in the first fragment.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// When the first fragment came, coarse monotonic nanoseconds.
    pub seen_ns: u64,
    /// Sender's port.
    pub source_port: Be16,
    /// Receiver's port.
    pub destination_port: Be16,
    /// Padding, always zero.
    pub reserved: u32,
}

impl Fragment {
    /// How long later fragments may follow; a receiver waits no longer either (RFC 1122, 3.3.2).
    pub const LIFE_NS: u64 = 60_000_000_000;
}
