//! containerd's tasks: what it is asked where its CRI has lost hold of a container's processes.
//!
//! Generated from `proto/containerd/tasks.proto`; never edited by hand.

// The generator's style is not ours to judge.
#[allow(clippy::all, clippy::pedantic, missing_docs, rust_2018_idioms, unused_qualifications)]
#[rustfmt::skip]
mod generated;

pub use generated::*;
