//! Joining a cluster: from a token to certificates, and keeping them fresh.
//!
//! The token pins the hash of the cluster's CA, so the first connection already knows whom it talks to. The
//! private key never leaves the node.

mod csr;
mod identity;
mod pin;
mod renew;
mod token;

pub use csr::CsrError;
pub use identity::{Identities, JoinError};
pub use renew::keep_fresh;
pub use token::{JoinToken, TokenError};
