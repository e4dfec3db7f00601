//! List, watch and patch the Kubernetes API over any transport.
//!
//! Every component of the cluster sees it through this crate: the same calls run over TLS from a node and, in
//! the server's process, straight against the API's service. It never knows which component uses it and never
//! keeps an object that a caller did not ask for.

#![forbid(unsafe_code)]

mod client;
mod decode;
mod discovery;
mod error;
pub mod informer;
pub mod kubeconfig;
pub mod lease;
mod params;
pub mod queue;
pub mod recorder;
pub mod remote;
mod transport;
pub mod unverified;
pub mod views;
mod watch;

pub use client::Client;
pub use discovery::{Served, intern};
pub use error::{Error, Result};
pub use keelson_api::resource::Resource;
pub use keelson_api::status::Status;
pub use params::{DeleteParams, List, ListParams, PatchKind, Propagation, WatchParams};
pub use transport::{BoxError, ResponseBody, Transport, TransportError};
pub use views::{Key, Meta, View};
pub use watch::{WatchEvent, WatchStream};
