//! The Kubernetes API server: TLS, authentication, authorization, admission, discovery, verbs, watch and
//! subresources over one store.
//!
//! A request goes: authentication -> authorization -> decoding -> mutating admission -> defaulting ->
//! validation -> validating admission -> store. Kinds are files in `keelson-api`; nothing here knows one except
//! where Kubernetes itself gives it a behaviour of its own (pods, services, namespaces).
//!
//! Never holds a second copy of the store's state: what is kept beside it is an index that can be made anew.
#![forbid(unsafe_code)]

pub mod admission;
pub mod auth;
mod clock;
mod fixed;
mod kubelet;
mod metrics;
mod pipeline;
mod proxy;
mod request;
mod respond;
pub mod serve;
mod server;
mod services;
mod storage;
#[cfg(test)]
mod testing;
mod verbs;
mod websocket;

pub use kubelet::{KubeletClient, KubeletClientError};
pub use server::{ApiConfig, ApiServer};
