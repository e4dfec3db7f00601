//! Chooses a node for every pod and binds it.
//!
//! The choice is pure: `cycle` reads the cluster's columns and a pod and gives a node or the reasons why there
//! is none. `run` feeds it from watches and performs bindings concurrently. It never talks to the store, never
//! looks at a clock or a random number inside a choice, and never writes a pod's spec.

#![forbid(unsafe_code)]

mod bits;
mod cluster;
mod cycle;
mod plugins;
mod pod;
mod queue;
mod reason;
mod resources;
mod run;
mod selector;
mod start;
#[cfg(test)]
mod tests;

pub use start::{Scheduler, SchedulerConfig, SchedulerHandle};
