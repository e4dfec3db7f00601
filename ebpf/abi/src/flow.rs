//! Conntrack and NAT: one table from the tuple on the wire to the tuple it becomes.
//!
//! A flow is two entries. The original one has as key the packet as its sender wrote it, the reply one the
//! answer as its sender writes it; each value is the packet that leaves. A flow without translation has the
//! key itself as its value.

use crate::{Address, Be16};

/// What tells flows apart. ICMP echo has the identifier as the source port of the request and as the
/// destination port of the reply.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tuple {
    /// Sender.
    pub source: Address,
    /// Receiver.
    pub destination: Address,
    /// Sender's port.
    pub source_port: Be16,
    /// Receiver's port.
    pub destination_port: Be16,
    /// IANA protocol number.
    pub protocol: u8,
    /// 4 or 6.
    pub family: u8,
    /// Padding, always zero.
    pub reserved: u16,
}

impl Tuple {
    /// The tuple of the answer.
    #[inline(always)]
    pub const fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            protocol: self.protocol,
            family: self.family,
            reserved: 0,
        }
    }
}

/// One direction of a flow. Keyed by the [`Tuple`] as it arrives.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// The packet as it leaves.
    pub translated: Tuple,
    /// Time of the last packet in either direction, coarse monotonic nanoseconds; at most
    /// [`Flow::REFRESH_NS`] behind.
    pub seen_ns: u64,
    /// Epoch in which the policy judged this flow last; the same in both entries.
    pub policy_epoch: u32,
    /// The set by which it did so: that of the pod that sent the first packet, 0 when it is not a pod of this
    /// node. The same in both entries.
    pub policy_set: u32,
    /// The service that chose the backend, 0 for none.
    pub service: u32,
    /// `Flow::REPLY` and the following.
    pub flags: u32,
    /// Reserved for the cached route, zero.
    pub reserved: [u32; 2],
}

impl Flow {
    /// This entry is the reply direction.
    pub const REPLY: u32 = 1;
    /// A packet of the reply direction has been seen.
    pub const ANSWERED: u32 = 2;
    /// A FIN has been seen in this entry's direction.
    pub const OWN_FIN: u32 = 4;
    /// A FIN has been seen in the other direction.
    pub const PEER_FIN: u32 = 8;
    /// The flow was opened from outside: what answers it leaves through the outer interface.
    pub const OUTSIDE: u32 = 16;
    /// The backend has left its service: packets go on, a new connection chooses anew.
    pub const LEFT: u32 = 32;
    /// The flow was opened by a pod of this node, whose policy set judges it.
    pub const OWN: u32 = 64;
    /// Both are closed, or one has reset the connection.
    pub const CLOSED: u32 = Self::OWN_FIN | Self::PEER_FIN;

    /// How stale `seen_ns` may become before a packet refreshes it, in both entries.
    pub const REFRESH_NS: u64 = SECOND_NS;

    /// The flags that the entry of the other direction gains with these.
    #[inline(always)]
    pub const fn seen_by_peer(flags: u32) -> u32 {
        let own = if flags & Self::OWN_FIN != 0 { Self::PEER_FIN } else { 0 };
        let peer = if flags & Self::PEER_FIN != 0 { Self::OWN_FIN } else { 0 };
        (flags & Self::ANSWERED) | own | peer
    }

    /// Whether the flow has been idle beyond its limit.
    #[inline(always)]
    pub fn expired(&self, protocol: u8, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.seen_ns) > idle_limit_ns(protocol, self.flags)
    }
}

const SECOND_NS: u64 = 1_000_000_000;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// How long a flow may be idle. Shared by programs, model and sweep so that they agree on what is alive.
#[inline(always)]
pub const fn idle_limit_ns(protocol: u8, flags: u32) -> u64 {
    let answered = flags & Flow::ANSWERED != 0;
    let seconds = match protocol {
        // Long enough for the last acknowledgements to be repeated; a table full of the dead refuses the living.
        TCP if flags & Flow::CLOSED == Flow::CLOSED => 5,
        // One side may speak on for long after the other has ended.
        TCP if flags & Flow::CLOSED != 0 => 3_600,
        // Longer than the two hours after which keep-alive probes start.
        TCP if answered => 8_000,
        TCP => 60,
        UDP if answered => 180,
        UDP => 60,
        _ => 30,
    };
    seconds * SECOND_NS
}
