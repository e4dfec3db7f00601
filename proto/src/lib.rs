//! Every wire contract that is not the Kubernetes API.
//!
//! It holds messages and their encodings only and never decides anything.
//!
//! [`cri`], [`containerd`] and [`health`] are generated from the `.proto` files in the folders of those names beside
//! `src`, which name the messages and fields that we use. The generator is the crate `proto/gen`, outside the workspace,
//! so that its dependencies are not the product's: `cargo run --manifest-path proto/gen/Cargo.toml` rewrites each
//! `generated.rs`, which are committed.

pub mod cni;
pub mod containerd;
pub mod cri;
pub mod health;
pub mod kubernetes;
