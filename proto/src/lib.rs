//! Every wire contract that is not the Kubernetes API.
//!
//! It holds messages and their encodings only and never decides anything.
//!
//! [`cri`] is generated from `proto/cri/runtime.proto`, which names the messages and fields that we use. The
//! generator is the crate `proto/gen`, outside the workspace, so that its dependencies are not the product's:
//! `cargo run --manifest-path proto/gen/Cargo.toml` rewrites `proto/src/cri/generated.rs`, which is committed.

pub mod cni;
pub mod cri;
pub mod kubernetes;
