//! The one binary. By its name it is the CNI plugin, else what its first argument says.
//!
//! No logic of its own: flags become the configuration of a server, an agent or both.

mod arguments;
mod commands;
mod logging;
mod process;

use clap::Parser;
use std::process::ExitCode;

/// The name under which containerd runs the CNI plugin: a link to this binary.
const CNI_NAME: &str = "keelson-cni";

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    if std::path::Path::new(&name).file_name().is_some_and(|name| name == CNI_NAME) {
        return keelson_cni::main();
    }
    let arguments = arguments::Arguments::parse();
    logging::start(&arguments.log);
    match commands::run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
