//! The CNI plugin's socket: one JSON request and one JSON reply per connection.
//!
//! The client writes its request and shuts down its side; the server replies and closes. The plugin carries
//! values through and decides nothing, so a new agent serves an old plugin.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Largest request or reply that either side reads, bytes.
pub const MESSAGE_MAX: u64 = 1 << 20;

/// CNI specification versions that the agent speaks, oldest first.
pub const VERSIONS: &[&str] = &["0.4.0", "1.0.0", "1.1.0"];

/// What the runtime wants; VERSION is answered by the plugin itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Command {
    /// Give a sandbox its network.
    Add,
    /// Take it away; what is gone already is fine.
    Del,
    /// Is it as ADD left it?
    Check,
    /// Remove what no listed attachment uses.
    Gc,
    /// Can ADD succeed?
    Status,
}

/// One invocation of the plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// `CNI_COMMAND`.
    pub command: Command,
    /// `CNI_CONTAINERID`; empty for GC and STATUS.
    #[serde(default)]
    pub container_id: String,
    /// `CNI_NETNS`; may be empty on DEL.
    #[serde(default)]
    pub netns: String,
    /// `CNI_IFNAME`; empty for GC and STATUS.
    #[serde(default)]
    pub ifname: String,
    /// `CNI_ARGS`, split at semicolons.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
    /// The network configuration from standard input.
    pub config: Value,
}

/// The agent's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// Success; what to print, if anything.
    Ok(Option<Value>),
    /// Failure, in CNI's form.
    Error(Error),
}

/// A CNI error, as the runtime reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// One of the codes below.
    pub code: u32,
    /// One line.
    pub msg: String,
    /// More, if there is more.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

/// Error codes of the CNI specification.
pub mod code {
    /// The version in the configuration is not supported.
    pub const INCOMPATIBLE_VERSION: u32 = 1;
    /// A field of the configuration is not supported.
    pub const UNSUPPORTED_FIELD: u32 = 2;
    /// The container is unknown.
    pub const UNKNOWN_CONTAINER: u32 = 3;
    /// An environment variable is missing or wrong.
    pub const INVALID_ENVIRONMENT: u32 = 4;
    /// Reading or writing failed.
    pub const IO_FAILURE: u32 = 5;
    /// Input could not be decoded.
    pub const DECODING_FAILURE: u32 = 6;
    /// The network configuration is wrong.
    pub const INVALID_CONFIG: u32 = 7;
    /// Try again later.
    pub const TRY_AGAIN: u32 = 11;
    /// STATUS: the plugin cannot serve ADD.
    pub const NOT_AVAILABLE: u32 = 50;
    /// Codes from here on are the plugin's own.
    pub const NETWORK: u32 = 100;
}

impl Error {
    /// An error without details.
    pub fn new(code: u32, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: String::new() }
    }
}
