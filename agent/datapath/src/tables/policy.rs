//! What policies come to for the pods of this node.
//!
//! Nothing compiles NetworkPolicies to this yet, and the programs enforce none: what [`super::Views`] bring is empty,
//! and so the set of every pod is 0.

use keelson_ebpf_abi::{Address, Endpoint};
use std::collections::BTreeMap;

/// The policies of this node's pods, compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The policy set of each pod that some policy selects. Pods that the same policies select share one.
    pub sets: BTreeMap<Address, u32>,
}

impl Policy {
    /// The row of a pod: where it is, as `network` says, with the set that judges it, whatever `network` says of that.
    pub fn row(&self, address: Address, network: &Endpoint) -> Endpoint {
        Endpoint { policy_set: self.sets.get(&address).copied().unwrap_or(0), ..*network }
    }
}
