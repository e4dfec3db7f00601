//! The last verdict, for tests and `datapath trace`.

/// What a program decided about a packet.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TraceVerdict {
    /// On to the next program and the stack.
    Pass,
    /// Refused; `reason` says why.
    Drop,
    /// Into a pod of this node; `ifindex` is the host side of its veth.
    Pod,
    /// Into the tunnel; `address` is the node at its other end.
    Tunnel,
    /// Out of the node, the neighbour found by the kernel.
    Outer,
}

/// One decision.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// [`TraceVerdict`] as a number.
    pub verdict: u32,
    /// [`crate::Reason`] as a number, for a drop.
    pub reason: u32,
    /// Interface the packet is sent to, if any.
    pub ifindex: u32,
    /// The last word of the tunnel's far end, if any, as on the wire.
    pub tunnel: u32,
    /// [`crate::Hook`] as a number.
    pub hook: u32,
    /// 1 when the policy was asked about the packet's flow, else 0.
    pub asked: u32,
}
