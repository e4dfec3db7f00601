//! The CNI plugin: a thin client of the agent.
//!
//! containerd starts it for each pod, so it does nothing but carry: environment and standard input to the
//! agent's socket, the reply to standard output. It keeps no state, touches no interface and decides nothing.

#![forbid(unsafe_code)]

mod environment;
mod exchange;
pub mod loopback;

use environment::Invocation;
use keelson_proto::cni::{Error, MESSAGE_MAX, Reply, VERSIONS, code};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::ExitCode;

/// The plugin's whole run: what argv[0] `keelson-cni` leads to.
pub fn main() -> ExitCode {
    let mut input = Vec::new();
    let read = std::io::stdin().lock().take(MESSAGE_MAX).read_to_end(&mut input);
    let outcome = match read {
        Ok(_) => run(&|name| std::env::var(name).ok(), &input),
        Err(error) => Err(Error::new(code::IO_FAILURE, format!("reading standard input: {error}"))),
    };
    let (text, exit) = match outcome {
        Ok(None) => return ExitCode::SUCCESS,
        Ok(Some(value)) => (value.to_string(), ExitCode::SUCCESS),
        Err(error) => (failure(&error, &input).to_string(), ExitCode::FAILURE),
    };
    // A runtime that closed its end gets only the exit code.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
    exit
}

/// One invocation: what to print, if anything.
fn run(variable: &dyn Fn(&str) -> Option<String>, input: &[u8]) -> Result<Option<Value>, Error> {
    match environment::read(variable, input)? {
        Invocation::Version(asked) => Ok(Some(json!({"cniVersion": asked, "supportedVersions": VERSIONS}))),
        Invocation::Ask { socket, request } => match exchange::ask(&socket, &request)? {
            Reply::Ok(value) => Ok(value),
            Reply::Error(error) => Err(error),
        },
    }
}

/// An error as CNI wants it printed.
fn failure(error: &Error, input: &[u8]) -> Value {
    let asked = serde_json::from_slice::<Value>(input).ok();
    let version = asked.as_ref().and_then(|config| config.get("cniVersion")).and_then(Value::as_str);
    let mut value = json!({
        "cniVersion": version.unwrap_or("1.0.0"), "code": error.code, "msg": error.msg,
    });
    if !error.details.is_empty() {
        value["details"] = json!(error.details);
    }
    value
}

#[cfg(test)]
mod tests;
