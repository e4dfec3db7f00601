//! The gRPC health checking protocol: what a gRPC probe asks.
//!
//! Generated from `proto/health/health.proto`; never edited by hand.

// The generator's style is not ours to judge.
#[allow(clippy::all, clippy::pedantic, missing_docs, rust_2018_idioms, unused_qualifications)]
#[rustfmt::skip]
mod generated;

pub use generated::*;
