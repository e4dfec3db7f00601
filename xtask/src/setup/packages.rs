//! Debian packages: each with a file that shows it is there, so that a complete machine is left alone.

use crate::run::{as_root, run, step};
use anyhow::{Result, bail};
use std::path::Path;

/// (package, a file that it installs, what it is for)
const PACKAGES: &[(&str, &str, &str)] = &[
    ("build-essential", "/usr/bin/g++", "compiles RocksDB"),
    ("llvm-22", "/usr/bin/llvm-strip-22", "strips the kernel object"),
    ("llvm-22-dev", "/usr/bin/llvm-config-22", "bpf-linker is built against it"),
    ("libpolly-22-dev", "/usr/lib/llvm-22/lib/libPolly.a", "bpf-linker is built against it"),
    ("zlib1g-dev", "/usr/include/zlib.h", "bpf-linker is built against it"),
    ("libzstd-dev", "/usr/include/zstd.h", "bpf-linker is built against it"),
    ("libclang1-22", "/usr/lib/llvm-22/lib/libclang-22.so.1", "makes RocksDB's bindings"),
    ("libclang-common-22-dev", "/usr/lib/llvm-22/lib/clang/22/include/stdbool.h", "makes RocksDB's bindings"),
    ("rustc-web", "/usr/bin/rustc", "compiles the kernel programs"),
    ("cargo-web", "/usr/bin/cargo", "compiles the kernel programs"),
    ("libstd-rust-web-dev-bpf", "/usr/lib/rustlib/bpfel-unknown-none/lib", "compiles the kernel programs"),
    ("containerd", "/usr/bin/containerd", "runs containers"),
    ("runc", "/usr/sbin/runc", "runs containers"),
    ("iptables", "/usr/sbin/iptables", "the fallback data plane"),
    ("ipset", "/usr/sbin/ipset", "the fallback data plane"),
    ("conntrack", "/usr/sbin/conntrack", "shows that no pod flow is in the kernel's table"),
    ("iproute2", "/sbin/ip", "network namespaces of test clusters"),
    ("util-linux", "/usr/bin/nsenter", "enters network namespaces"),
    ("e2fsprogs", "/sbin/mkfs.ext4", "file systems that lose power in the store's tests"),
    ("busybox-static", "/bin/busybox", "images of the tests"),
    ("dnsutils", "/usr/bin/dig", "asks the cluster DNS in tests"),
    ("qemu-system-x86", "/usr/bin/qemu-system-x86_64", "boots other kernels in tests"),
    ("xz-utils", "/usr/bin/xz", "unpacks those kernels' modules"),
];

/// Installs what is missing by apt; needs root only then.
pub fn install_missing() -> Result<()> {
    let missing: Vec<_> = PACKAGES.iter().filter(|(_, file, _)| !Path::new(file).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    step(format!("installing {} Debian packages", missing.len()));
    for (package, _, purpose) in &missing {
        println!("    {package}: {purpose}");
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        let names: Vec<_> = missing.iter().map(|(package, ..)| *package).collect();
        bail!("this machine has no apt; install what corresponds to: {}", names.join(" "));
    }
    run(as_root("apt-get").args(["update", "-qq"]))?;
    run(as_root("env")
        .args([
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
        ])
        .args(missing.iter().map(|(package, ..)| *package)))?;
    leave_service_alone(&missing)
}

/// Debian starts containerd when it installs it; nodes run a private one and ours must not depend on it.
fn leave_service_alone(installed: &[&(&str, &str, &str)]) -> Result<()> {
    let installed_containerd = installed.iter().any(|(package, ..)| *package == "containerd");
    if installed_containerd && Path::new("/run/systemd/system").exists() {
        run(as_root("systemctl").args(["disable", "--now", "containerd"]))?;
    }
    Ok(())
}
