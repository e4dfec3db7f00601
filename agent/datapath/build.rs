//! Finds the kernel object that `cargo xtask bpf` builds, so that the crate can embed it.
//!
//! Clippy and the tests of the pure parts do without; src/backend/ebpf/object.rs says what to run otherwise.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(keelson_bpf_object)");
    println!("cargo::rerun-if-env-changed=KEELSON_BPF_OBJECT");
    let object = std::env::var_os("KEELSON_BPF_OBJECT").map(PathBuf::from).unwrap_or_else(default_object);
    println!("cargo::rerun-if-changed={}", object.display());
    if object.exists() {
        println!("cargo::rustc-cfg=keelson_bpf_object");
        println!("cargo::rustc-env=KEELSON_BPF_OBJECT_PATH={}", object.display());
    }
}

fn default_object() -> PathBuf {
    // As cargo says now: this program may have been compiled in another checkout.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    Path::new(&manifest).join("../../target/bpf/keelson.o")
}
