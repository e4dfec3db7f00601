//! The Container Runtime Interface, version 1: what the kubelet says to containerd.
//!
//! Generated from `proto/cri/runtime.proto`; never edited by hand.

// The generator's style is not ours to judge.
#[allow(clippy::all, clippy::pedantic, missing_docs, rust_2018_idioms, unused_qualifications)]
#[rustfmt::skip]
mod generated;

pub use generated::*;
