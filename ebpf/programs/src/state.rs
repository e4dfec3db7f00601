//! What one packet's way through the programs carries, in a per-CPU scratch record.
//!
//! Not on the stack, which is small; and memory of a map keeps the verifier from telling every combination
//! of its contents apart, which is what makes programs expensive to verify. Packet programs do not interrupt
//! each other on one CPU, so the record is ours while a program runs; each stage writes a field before
//! another reads it.

use crate::parse::Packet;
use keelson_ebpf_abi::{Flow, Tuple};

/// The record.
#[repr(C)]
pub struct State {
    /// The policy's epoch when the packet came. Read once and before all that policies judge by: a flow that is
    /// judged while they change is marked with the epoch before, and judged again.
    pub epoch: u32,
    /// 1 once the policy has been asked about the packet's flow.
    pub asked: u32,
    /// The packet as parsed.
    pub packet: Packet,
    /// The tuple that the packet leaves with.
    pub to: Tuple,
    /// Where it goes next.
    pub hop: Hop,
    /// The packet that an ICMP error is about, as it is quoted and as its sender knows it.
    pub quoted: Tuple,
    pub quoted_to: Tuple,
    /// What the policy judges: the flow's first packet as its receiver gets it.
    pub delivered: Tuple,
    /// The flow being opened, and its answer's entry.
    pub flow: Flow,
    pub reply: Flow,
    pub reply_key: Tuple,
}

/// Details of the next hop; which of them matter, [`crate::route::Route`] says.
#[repr(C)]
pub struct Hop {
    /// Host side of the pod's veth.
    pub ifindex: u32,
    /// Policy set of the receiving pod.
    pub policy_set: u32,
    /// The far end of the tunnel, as on the wire.
    pub tunnel: u32,
    /// MAC of the receiving pod.
    pub mac: [u8; 6],
    pub reserved: u16,
}
