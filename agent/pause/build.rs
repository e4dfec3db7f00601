//! Compiles `src/program.rs` by itself: a program without std cannot share the workspace's profiles.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/program.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("pause");
    let status = Command::new(rustc)
        .args(["--edition=2024", "--crate-name=pause", "--crate-type=bin"])
        .args(["--target=x86_64-unknown-linux-gnu", "-Cpanic=abort", "-Copt-level=s", "-Cstrip=symbols"])
        .args(["-Crelocation-model=static", "-Ctarget-feature=+crt-static"])
        .args(["-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib", "-Clink-arg=-static"])
        .args(["-Clink-arg=-Wl,--build-id=none", "-Clink-arg=-Wl,-z,noseparate-code"])
        .arg("src/program.rs")
        .arg("-o")
        .arg(&out)
        .status();
    match status {
        Ok(status) if status.success() => {}
        other => {
            println!("cargo::error=the pause program does not build: {other:?}");
        }
    }
}
