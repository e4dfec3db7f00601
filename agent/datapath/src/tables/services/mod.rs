//! Services, EndpointSlices and pods' host ports -> what answers where.
//!
//! One object is compiled at a time ([`compile`], [`host_ports`]); the [`Catalog`] keeps what each of them claims
//! and decides between two that claim the same place.

mod catalog;
mod compile;
mod endpoints;
mod host_ports;

pub use catalog::{Catalog, Owner, Rank};
pub use compile::{Compiled, HealthCheck, compile};
pub use host_ports::{has_host_ports, host_ports};

use keelson_ebpf_abi::{Address, Backend, Service as Entry, ServiceKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Service ports by where clients knock; several keys of one port share its content.
pub type Services = BTreeMap<ServiceKey, Arc<ServicePort>>;

/// One port of a Service, or of a pod on its node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePort {
    /// `namespace/name:port`, of a host port `pod namespace/name:port`.
    pub name: String,
    /// What answers, sorted and without repetition.
    pub backends: Vec<Backend>,
    /// [`keelson_ebpf_abi::Service::LOCAL`] and the following.
    pub flags: u32,
    /// How long a client stays with its backend, seconds; 0 without affinity.
    pub affinity_seconds: u32,
}

impl ServicePort {
    /// Whether only backends of this node answer, and see the client's own address.
    pub fn is_local(&self) -> bool {
        self.flags & Entry::LOCAL != 0
    }

    /// Whether nothing answers here and something does on another node: packets are dropped, where they would be
    /// refused if nothing answered anywhere.
    pub fn is_elsewhere(&self) -> bool {
        self.flags & Entry::ELSEWHERE != 0
    }
}

/// What of the own node matters to services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnNode {
    /// Its name in the API.
    pub name: String,
    /// Its address.
    pub address: Address,
    /// Its zone, if its Node names one.
    pub zone: Option<String>,
}

/// IANA's number of a protocol as the API names it.
fn protocol(name: &str) -> Option<u8> {
    match name {
        "TCP" | "" => Some(6),
        "UDP" => Some(17),
        "SCTP" => Some(132),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
