//! The kubelet against a real containerd and runc, with an API that models what it states.

mod api;
mod container;
pub(crate) mod health;
mod image;
mod images;
mod lifecycle;
mod probes;
mod restart;
mod runtime;
mod server;
mod stage;
mod tls;
mod volumes;
