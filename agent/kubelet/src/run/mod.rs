//! The kubelet's loop: one task that owns every pod's machine.

mod admission;
mod directory;
mod look;
mod pods;
mod writer;

pub use directory::{Directory, PodEntry};
pub(crate) use look::{watch_events, watch_runtime};
pub(crate) use pods::Loop;
