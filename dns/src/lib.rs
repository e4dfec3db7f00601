//! The cluster's DNS, on every node: Services, EndpointSlices and Namespaces are compiled into answers by name,
//! and a query is a lookup. Names outside of the cluster are asked for upstream, through hickory's cache.
//!
//! Two tiers in user space: a UDP loop that answers cluster names in place, and hickory for TCP and for all that
//! goes upstream. Keeps no objects beyond its own views of them; while its view is not in sync it says SERVFAIL, never NXDOMAIN.
//!
//! Sources: Kubernetes DNS-Based Service Discovery 1.1.0, RFC 1034/1035, 2308 (negative answers), 2782 (SRV),
//! 6891 (EDNS).

mod answer;
mod compile;
mod feed;
mod forward;
mod records;
mod server;
mod tcp;
mod udp;
mod wire;
mod zone;

pub use server::{Dns, DnsConfig, DnsError};
