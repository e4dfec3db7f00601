//! One pod as data: its spec, its state machine, its status.
//!
//! Everything here is pure: no IO, no clock, no randomness. Executors elsewhere perform the commands.

pub mod admit;
pub mod backoff;
pub mod container;
mod ending;
pub mod event;
pub mod hash;
mod live;
pub mod machine;
mod observe;
pub mod patch;
pub mod placement;
pub mod probe;
pub mod quantity;
pub mod refuse;
mod restart;
pub mod spec;
pub mod status;
pub mod time;

pub use event::{Command, ContainerSeen, Failure, Observation, PodEvent, ProbeResult, RunState, SandboxSeen};
pub use machine::Machine;
pub use spec::Pod;

#[cfg(test)]
mod tests;
