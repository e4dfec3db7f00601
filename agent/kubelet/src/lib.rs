//! The kubelet: pods over CRI, their volumes, probes and logs, the node's status, and the :10250 server.
//!
//! A pod is a pure state machine ([`pod`]); one loop ([`run`]) owns all of them and feeds it with what the API,
//! the runtime and finished actions say; [`actions`] performs what the machines ask for. The kubelet never
//! programs the network and never decides where a pod runs.

mod actions;
mod cgroup;
mod clock;
mod config;
mod credentials;
mod cri;
mod env;
mod event;
mod hosts;
mod images;
mod kubelet;
mod logs;
mod machine;
mod node;
mod pod;
mod references;
mod resolv;
mod run;
mod server;
mod tokens;
mod volume;

pub use config::{KubeletConfig, Taint};
pub use kubelet::{Kubelet, KubeletHandle, StartError};
pub use server::{ServingTls, TlsError};

#[cfg(test)]
mod tests;
