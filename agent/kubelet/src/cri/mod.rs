//! The container runtime: a client of CRI, what it is told of a pod, and what it tells.

mod client;
pub mod container;
pub mod names;
pub mod observe;
pub mod sandbox;
pub mod security;
mod tasks;

pub use client::{Cri, CriError};
