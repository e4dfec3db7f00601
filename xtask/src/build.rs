//! Building: the kernel object, the `keelson` binary.

use crate::repo;
use crate::run::{run, step};
use crate::setup::linker_path;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The target of the kernel programs.
const BPF_TARGET: &str = "bpfel-unknown-none";

/// Where the kernel object lies for the crate that embeds it.
pub fn bpf_object() -> PathBuf {
    repo::root().join("target/bpf/keelson.o")
}

/// Builds the kernel programs and puts the object where `keelson-datapath` takes it from.
///
/// They have a compiler of their own, Debian's, because it carries a `core` for BPF and fits bpf-linker's LLVM;
/// debug info is load-bearing (the linker makes BTF of it).
pub fn bpf() -> Result<()> {
    let manifest = repo::root().join("ebpf/programs/Cargo.toml");
    let out = repo::root().join("target/bpf-build");
    let flags = ["-Cdebuginfo=2", "-Clink-arg=--btf", "--cfg=bpf_target_arch=\"x86_64\""];
    run(Command::new("/usr/bin/cargo")
        .current_dir(repo::root().join("ebpf/programs"))
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker_path())
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTUP_TOOLCHAIN")
        .args(["build", "--quiet", "--release", "--locked", "--target", BPF_TARGET, "--target-dir"])
        .arg(&out)
        .arg("--manifest-path")
        .arg(&manifest))?;
    let stripped = out.join("keelson.o");
    fs::copy(out.join(BPF_TARGET).join("release/keelson"), &stripped)
        .context("no kernel object was built")?;
    // Debug info has done its work; the rest goes into the binary.
    run(Command::new("llvm-strip-22").arg("-g").arg(&stripped))?;
    let (object, bytes) = (bpf_object(), fs::read(&stripped)?);
    // Left alone when it is the same, so that nothing is built again because of it.
    if fs::read(&object).ok().as_deref() != Some(bytes.as_slice()) {
        fs::create_dir_all(object.parent().context("the object's folder has a parent")?)?;
        fs::write(&object, bytes)?;
    }
    Ok(())
}

/// Builds the `keelson` binary with the kernel object in it.
pub fn keelson(release: bool) -> Result<PathBuf> {
    step("building the kernel programs");
    bpf()?;
    step(if release { "building keelson (release)" } else { "building keelson" });
    let mut command = Command::new("cargo");
    command.current_dir(repo::root()).args(["build", "--locked", "--package", "keelson"]);
    if release {
        command.arg("--release");
    }
    run(&mut command)?;
    Ok(repo::program("keelson", release))
}
