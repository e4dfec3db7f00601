//! What the runtime asks: `CNI_*` variables and the configuration from standard input.

use keelson_proto::cni::{Command, Error, Request, code};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One invocation.
#[derive(Debug, PartialEq)]
pub enum Invocation {
    /// VERSION, with the version asked for: answered without the agent.
    Version(String),
    /// Everything else is the agent's.
    Ask {
        /// The agent's socket, from the configuration.
        socket: PathBuf,
        /// What to ask.
        request: Box<Request>,
    },
}

/// Reads an invocation.
pub fn read(variable: &dyn Fn(&str) -> Option<String>, input: &[u8]) -> Result<Invocation, Error> {
    let decode = |error| Error::new(code::DECODING_FAILURE, format!("network configuration: {error}"));
    let config: Value = serde_json::from_slice(input).map_err(decode)?;
    let command = variable("CNI_COMMAND").unwrap_or_default();
    if command == "VERSION" {
        let asked = config.get("cniVersion").and_then(Value::as_str).unwrap_or("1.0.0");
        return Ok(Invocation::Version(asked.to_owned()));
    }
    let command = parse_command(&command)?;
    let socket = config.get("socket").and_then(Value::as_str);
    let socket = socket
        .map(PathBuf::from)
        .ok_or_else(|| Error::new(code::INVALID_CONFIG, "the network configuration names no socket"))?;
    let text = |name| variable(name).unwrap_or_default();
    let request = Request {
        command,
        container_id: text("CNI_CONTAINERID"),
        netns: text("CNI_NETNS"),
        ifname: text("CNI_IFNAME"),
        args: arguments(&text("CNI_ARGS")),
        config,
    };
    Ok(Invocation::Ask { socket, request: Box::new(request) })
}

fn parse_command(text: &str) -> Result<Command, Error> {
    match text {
        "ADD" => Ok(Command::Add),
        "DEL" => Ok(Command::Del),
        "CHECK" => Ok(Command::Check),
        "GC" => Ok(Command::Gc),
        "STATUS" => Ok(Command::Status),
        _ => Err(Error::new(code::INVALID_ENVIRONMENT, format!("unknown CNI_COMMAND {text:?}"))),
    }
}

/// `K=V;K2=V2`; what has no `=` says nothing.
fn arguments(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.to_owned())).collect()
}
