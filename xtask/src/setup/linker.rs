//! bpf-linker, built once into the cache against the LLVM that the eBPF compiler's bitcode needs.

use crate::repo;
use crate::run::{run, step};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

const VERSION: &str = "0.13.0";
const LLVM: &str = "/usr/lib/llvm-22";

/// Where the linker lies once it is built.
pub fn linker_path() -> PathBuf {
    install_root().join("bin/bpf-linker")
}

fn install_root() -> PathBuf {
    repo::cache().join(format!("bpf-linker-{VERSION}"))
}

/// Builds the linker when the cache does not hold it (about a minute).
pub fn build_once() -> Result<()> {
    if linker_path().exists() {
        return Ok(());
    }
    step(format!("building bpf-linker {VERSION} once (about a minute)"));
    let scratch = tempfile::tempdir()?;
    run(Command::new("cargo")
        // Away from the repository, whose target and flags are for the product.
        .current_dir(scratch.path())
        .env_remove("CARGO_TARGET_DIR")
        .env("CARGO_TARGET_DIR", scratch.path().join("target"))
        .env("LLVM_SYS_221_PREFIX", LLVM)
        .env("LLVM_PREFIX", LLVM)
        .args(["install", "bpf-linker", "--version", VERSION, "--locked"])
        .args(["--no-default-features", "--features", "llvm-22", "--root"])
        .arg(install_root()))
}
