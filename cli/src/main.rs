//! The one binary. By its name it is the CNI plugin, else what its first argument says.
//!
//! No logic of its own: flags become the configuration of a server, an agent or both.

mod arguments;
mod commands;
mod errors;
mod logging;
mod memory;
mod process;
mod users;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    // The names under which containerd runs CNI plugins: links to this binary.
    match std::path::Path::new(&called).file_name().and_then(|name| name.to_str()) {
        Some("keelson-cni") => return keelson_cni::main(),
        Some("loopback") => return keelson_cni::loopback::main(),
        _ => {}
    }
    let arguments = arguments::Arguments::parse();
    logging::start(&arguments.log);
    match commands::run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", errors::in_one_line(&error));
            ExitCode::FAILURE
        }
    }
}
