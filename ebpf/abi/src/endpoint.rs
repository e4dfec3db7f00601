//! A pod of this node.

/// Where a pod's address leads. Keyed by its [`crate::Address`].
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Endpoint {
    /// Host side of the pod's veth; also what the pod may send through.
    pub ifindex: u32,
    /// The policy set that judges this pod's flows; 0 where no policy selects the pod.
    pub policy_set: u32,
    /// Reserved for per-pod switches, zero.
    pub flags: u32,
    /// MAC of the interface inside the pod.
    pub mac: [u8; 6],
    /// Padding, always zero.
    pub reserved: u16,
}
