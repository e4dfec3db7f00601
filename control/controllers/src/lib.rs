//! Reconcilers over the Kubernetes API.
//!
//! Each controller is a folder with the same files: `mod.rs` says which changes wake which keys, `plan.rs`
//! decides without IO, clock or randomness, `exec.rs` performs, `tests.rs` holds the cases. A controller never
//! talks to the store, never writes a field that is another's, and never polls where a watch tells.

#![forbid(unsafe_code)]

mod certificates;
mod claim;
mod context;
mod deployment;
#[cfg(test)]
mod e2e;
mod endpoints;
mod endpointslice;
mod endpointslicemirroring;
mod garbage;
mod namespace;
mod nodeipam;
mod nodelifecycle;
mod podgc;
mod replicaset;
mod rootca;
mod serviceaccount;
mod shared;
mod start;
mod taints;
mod template;
mod worker;
mod written;

pub use certificates::{Signer, SignerError};
pub use nodeipam::{Range, RangeError};
pub use start::{ControllerConfig, Controllers, ControllersHandle};
