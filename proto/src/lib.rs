//! Every wire contract that is not the Kubernetes API.
//!
//! It holds messages and their encodings only and never decides anything.
//!
//! [`cri`] and [`health`] are generated from `proto/cri/runtime.proto` and `proto/health/health.proto`, which name the
//! messages and fields that we use. The generator is the crate `proto/gen`, outside the workspace, so that its
//! dependencies are not the product's: `cargo run --manifest-path proto/gen/Cargo.toml` rewrites the `generated.rs` of
//! both, which are committed.

pub mod cni;
pub mod cri;
pub mod health;
pub mod kubernetes;
