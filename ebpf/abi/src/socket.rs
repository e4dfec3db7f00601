//! What a socket that was translated at connect() or sendmsg() believes it talks to.

use crate::{Address, Be16};

/// A socket and the backend that it really talks to.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketKey {
    /// The kernel's socket cookie.
    pub cookie: u64,
    /// Backend address.
    pub address: Address,
    /// Backend port.
    pub port: Be16,
    /// Padding, always zero.
    pub reserved: [u16; 3],
}

/// The service address that recvmsg() and getpeername() show instead.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketOrigin {
    /// Service address.
    pub address: Address,
    /// Service port.
    pub port: Be16,
    /// Padding, always zero.
    pub reserved: u16,
    /// The service's id.
    pub service: u32,
}
