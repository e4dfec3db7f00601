//! The two backends, both written from the same tables.

pub mod ebpf;
pub mod iptables;
#[cfg(test)]
mod traffic;
