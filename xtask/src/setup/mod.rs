//! `cargo xtask setup`: brings a machine from 'has Rust' to 'can build and run everything'. A second run does
//! nothing.

mod kubectl;
mod linker;
mod packages;
mod rocksdb;

use anyhow::Result;

pub use kubectl::{Kubectl, find_kubectls};
pub use linker::linker_path;
pub use rocksdb::native_dir;

/// Which part of the set-up a command needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To build.
    Build,
    /// To bring up clusters and talk to them, too.
    Run,
}

/// Installs and builds what is missing.
pub fn setup(need: Need) -> Result<()> {
    packages::install_missing()?;
    linker::build_once()?;
    rocksdb::build_once()?;
    if need == Need::Run {
        kubectl::require()?;
    }
    Ok(())
}
