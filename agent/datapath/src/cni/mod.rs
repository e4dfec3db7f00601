//! The CNI socket: requests in, decisions made by the datapath's own task, replies out.
//!
//! Nothing here calls CRI, so a runtime that waits for its plugin never waits for itself.

mod conf;
mod message;
mod server;

pub use conf::conflist;
pub use message::{Sandbox, result, sandbox, valid_attachments, version};
pub use server::{Incoming, serve};
