//! Services, policy and pod networking: tables, model and backends.
//!
//! The Kubernetes objects that this node sees are compiled to plain [`tables`]; a backend brings the kernel
//! there. One reference [`model`] says what a packet must meet, and both backends are tested against it.
//!
//! Only `backend/` and `netlink/` touch the kernel; [`tables`], [`plan`], [`ipam`] and [`model`] are pure.

pub mod attachment;
pub mod backend;
pub mod cni;
mod datapath;
pub mod engine;
pub mod ipam;
#[cfg(test)]
mod lab;
pub mod model;
pub mod netlink;
pub mod plan;
pub mod tables;
mod task;

pub use attachment::Attached;
pub use datapath::{Datapath, DatapathConfig, DatapathError, Handle};
pub use engine::{Mode, Status};
