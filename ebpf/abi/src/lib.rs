//! The contract between the kernel programs and user space: what lies in each map, byte by byte.
//!
//! Both sides compile this crate, so it has no dependency, no allocation and no std. Every struct is
//! `repr(C)` without padding (an unnamed hole would leak kernel stack into hash keys) and has its size
//! asserted here. A change of any layout is a change of [`LAYOUT`], which names the pin folder: maps of
//! two layouts never meet.
#![cfg_attr(not(test), no_std)]

mod address;
mod affinity;
mod config;
mod counter;
mod endpoint;
mod flow;
mod fragment;
mod order;
mod peer;
mod service;
mod socket;
mod trace;

pub use address::{Address, Family};
pub use affinity::{Affinity, AffinityKey, Member};
pub use config::Config;
pub use counter::{HOOKS, Hook, REASONS, Reason};
pub use endpoint::Endpoint;
pub use flow::{Flow, Tuple, idle_limit_ns};
pub use fragment::{Fragment, FragmentKey};
pub use order::Be16;
pub use peer::{Peer, PeerKey};
pub use service::{Backend, Service, ServiceKey};
pub use socket::{SocketKey, SocketOrigin};
pub use trace::{Trace, TraceVerdict};

/// Version of every layout in this crate. Pinned maps lie in a folder named after it.
pub const LAYOUT: u32 = 3;

/// Names of the maps in the object, as user space looks them up.
pub mod map {
    /// `Array<Config; 1>`.
    pub const CONFIG: &str = "CONFIG";
    /// `Hash<ServiceKey, Service>`.
    pub const SERVICES: &str = "SERVICES";
    /// `Array<Backend>`: flat; each service owns `base..base + count`.
    pub const BACKENDS: &str = "BACKENDS";
    /// `Hash<Tuple, Flow>`: conntrack and NAT in one lookup. Preallocated.
    pub const FLOWS: &str = "FLOWS";
    /// `LpmTrie<PeerKey, Peer>`: everything that is not an endpoint of this node.
    pub const PEERS: &str = "PEERS";
    /// `Hash<Address, Endpoint>`: the pods of this node.
    pub const ENDPOINTS: &str = "ENDPOINTS";
    /// `LruHash<SocketKey, SocketOrigin>`: what a translated socket believes it talks to.
    pub const SOCKETS: &str = "SOCKETS";
    /// `LruHash<AffinityKey, Affinity>`: the backends that clients have.
    pub const AFFINITY: &str = "AFFINITY";
    /// `Hash<Member, u32>`: the backends of services with session affinity. A set: the values mean nothing.
    pub const MEMBERS: &str = "MEMBERS";
    /// `LruHash<FragmentKey, Fragment>`: datagrams whose first fragment has been seen.
    pub const FRAGMENTS: &str = "FRAGMENTS";
    /// `Array<u64; 1>`: when the next ICMP error may be sent, coarse monotonic nanoseconds.
    pub const ERRORS: &str = "ERRORS";
    /// `PerCpuArray<u64>`: packets and calls seen, by [`crate::Hook`].
    pub const HOOK_COUNTS: &str = "HOOK_COUNTS";
    /// `PerCpuArray<u64>`: packets and calls refused, by [`crate::Reason`].
    pub const DROP_COUNTS: &str = "DROP_COUNTS";
    /// `PerCpuArray<Trace>`: the last verdict of this CPU, when [`crate::Config::TRACE`] is set.
    pub const TRACE: &str = "TRACE";
}

/// A type whose every bit pattern is a value and which has no padding: it may be copied to and from a map
/// as bytes.
///
/// # Safety
/// The implementer must be `repr(C)`, hold integers only and have no padding.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($kind:ty = $size:literal),* $(,)?) => {$(
        const _: () = assert!(core::mem::size_of::<$kind>() == $size);
        // SAFETY: repr(C), integers only; the size above leaves no room for padding.
        unsafe impl Plain for $kind {}
    )*};
}

plain! {
    u32 = 4,
    u64 = 8,
    Address = 16,
    Be16 = 2,
    Config = 96,
    Endpoint = 20,
    Tuple = 40,
    Flow = 72,
    PeerKey = 20,
    Peer = 24,
    ServiceKey = 20,
    Service = 20,
    Backend = 24,
    SocketKey = 32,
    SocketOrigin = 24,
    Trace = 24,
    AffinityKey = 24,
    Affinity = 32,
    Member = 24,
    FragmentKey = 36,
    Fragment = 16,
}

#[cfg(test)]
mod tests;
