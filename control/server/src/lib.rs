//! Assembly of the control plane: keys and certificates, the cluster's own objects, and the order in which the
//! store, the API server, controllers and scheduler start and stop.
//!
//! Never has rules of its own: what an object may be is `keelson-api`'s, who may do what is `keelson-apiserver`'s.
#![forbid(unsafe_code)]

mod address;
mod bootstrap;
mod components;
pub mod config;
mod files;
mod in_process;
mod join_token;
pub mod pki;
mod renewal;
mod server;

pub use bootstrap::BootstrapError;
pub use components::ComponentError;
pub use config::{ConfigError, Flags, ServerConfig};
pub use files::FileError;
pub use in_process::InProcess;
pub use join_token::{JoinToken, JoinTokenError};
pub use server::{Server, ServerError};
