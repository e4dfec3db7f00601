//! Where things are: the repository's root, the target folder and the cache.

use std::path::{Path, PathBuf};

/// The repository's root: the folder above the package that cargo runs.
pub fn root() -> PathBuf {
    // As it is now, not as it was compiled: a target folder may come from another checkout.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let manifest = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    manifest.parent().map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// Cargo's output folder (`CARGO_TARGET_DIR` or `target`).
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => root().join("target"),
    }
}

/// The target triple that `.cargo/config.toml` sets for every command.
pub const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// A program that cargo built, such as `keelson`, in the dev or the release profile.
pub fn program(name: &str, release: bool) -> PathBuf {
    target().join(TRIPLE).join(if release { "release" } else { "debug" }).join(name)
}

/// Where long builds are kept between checkouts: `$XDG_CACHE_HOME/keelson` or `~/.cache/keelson`.
pub fn cache() -> PathBuf {
    if let Some(dir) = std::env::var_os("XDG_CACHE_HOME") {
        return PathBuf::from(dir).join("keelson");
    }
    let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
    PathBuf::from(home).join(".cache/keelson")
}
