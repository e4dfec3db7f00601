//! A node, assembled: containerd, membership, kubelet, data plane and DNS, started and ended in order.
//!
//! Has no rules of its own: what a pod, a packet or a name means is decided in the crates that it puts together.

mod agent;
pub mod config;
pub mod containerd;
mod host;
pub mod images;
pub mod join;
pub mod preflight;
mod sandboxes;

pub use agent::{Agent, AgentError};
