//! RocksDB, built once into a cache: twenty CPU minutes that no checkout, profile or clean pays twice.
//!
//! A throw-away crate builds librocksdb-sys with the workspace's version, features and flags; its static
//! libraries are kept in a folder named by a hash of all that went in. `target/native/rocksdb` links there, and
//! `.cargo/config.toml` points every build at that link.

use crate::repo;
use crate::run::step;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Goes into the cache key: raise it when this file changes what is built.
const RECIPE: u32 = 1;

/// About how many object files the build makes; only for the progress bar.
const OBJECTS: u64 = 345;

const LIBRARIES: &[&str] = &["librocksdb.a", "liblz4.a"];

/// The folder that builds are pointed at.
pub fn native_dir() -> PathBuf {
    repo::root().join("target/native/rocksdb")
}

/// Makes `native_dir` hold the static libraries.
pub fn build_once() -> Result<()> {
    let version = locked_version()?;
    let manifest = manifest(&version);
    let config = fs::read_to_string(repo::root().join(".cargo/config.toml"))?;
    let flags = config.lines().find(|l| l.starts_with("rustflags")).unwrap_or_default().to_owned();
    let kept = repo::cache().join(format!("rocksdb-{version}-{}", key(&[&manifest, &flags])));
    if !LIBRARIES.iter().all(|name| kept.join(name).exists()) {
        build(&version, &manifest, &flags, &kept)?;
    }
    link_native(&kept)
}

/// The exact version of the `rocksdb` crate in the workspace's lock file.
fn locked_version() -> Result<String> {
    let lock = fs::read_to_string(repo::root().join("Cargo.lock"))?;
    let mut lines = lock.lines();
    lines
        .find(|l| *l == "name = \"rocksdb\"")
        .and_then(|_| lines.next())
        .and_then(|l| l.strip_prefix("version = \""))
        .and_then(|l| l.strip_suffix('"'))
        .map(str::to_owned)
        .context("Cargo.lock holds no rocksdb")
}

fn manifest(version: &str) -> String {
    format!(
        "[package]\nname = \"rocksdb-once\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         rocksdb = {{ version = \"={version}\", default-features = false, \
         features = [\"lz4\", \"bindgen-runtime\", \"multi-threaded-cf\"] }}\n\n\
         [profile.dev.package.\"*\"]\nopt-level = 3\ndebug = false\n"
    )
}

fn key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    hash.update(RECIPE.to_le_bytes());
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn build(version: &str, manifest: &str, flags: &str, kept: &Path) -> Result<()> {
    step(format!("building RocksDB (crate {version}) once; 10 to 20 minutes on two cores"));
    let scratch = kept.with_extension("building");
    fs::create_dir_all(scratch.join("src"))?;
    fs::create_dir_all(scratch.join(".cargo"))?;
    fs::write(scratch.join("Cargo.toml"), manifest)?;
    fs::write(scratch.join("src/lib.rs"), "")?;
    fs::write(
        scratch.join(".cargo/config.toml"),
        format!(
            "[build]\ntarget = \"{triple}\"\n[target.{triple}]\n{flags}\n\
             [env]\nLIBCLANG_PATH = \"/usr/lib/llvm-22/lib\"\n",
            triple = repo::TRIPLE
        ),
    )?;
    compile(&scratch)?;
    fs::create_dir_all(kept)?;
    for name in LIBRARIES {
        let built = find(&scratch.join("target"), name)?
            .with_context(|| format!("the build of RocksDB left no {name} in {}", scratch.display()))?;
        fs::copy(&built, kept.join(name))?;
    }
    fs::remove_dir_all(&scratch)?;
    Ok(())
}

fn compile(scratch: &Path) -> Result<()> {
    let log = scratch.join("build.log");
    let file = fs::File::create(&log)?;
    let mut child = Command::new("cargo")
        .current_dir(scratch)
        // This repository's own configuration must not reach in, above all not ROCKSDB_LIB_DIR.
        .env_remove("ROCKSDB_LIB_DIR")
        .env_remove("ROCKSDB_STATIC")
        .env_remove("LZ4_LIB_DIR")
        .env_remove("LZ4_STATIC")
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .args(["build", "--package", "rocksdb"])
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .context("cannot start cargo")?;
    let bar = ProgressBar::new(OBJECTS);
    bar.set_style(ProgressStyle::with_template("    [{elapsed_precise}] {wide_bar} {pos}/{len} objects")?);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        bar.set_position(count_objects(&scratch.join("target")).min(OBJECTS));
        std::thread::sleep(Duration::from_millis(500));
    };
    bar.finish_and_clear();
    if !status.success() {
        bail!("building RocksDB failed; its output is in {}", log.display());
    }
    Ok(())
}

fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

fn count_objects(dir: &Path) -> u64 {
    let mut count = 0;
    walk(dir, &mut |file| count += u64::from(file.extension().is_some_and(|e| e == "o")));
    count
}

fn find(dir: &Path, name: &str) -> Result<Option<PathBuf>> {
    let mut found = None;
    walk(dir, &mut |file| {
        if file.file_name().is_some_and(|n| n == name) {
            found = Some(file.to_owned());
        }
    });
    Ok(found)
}

/// Links the cache into `target/`, and libstdc++ beside it: a static binary that finds the shared libstdc++
/// first links, and crashes when it starts.
fn link_native(kept: &Path) -> Result<()> {
    let stdcxx = kept.join("libstdc++.a");
    if !stdcxx.exists() {
        let path = crate::run::sh("g++ -print-file-name=libstdc++.a")?;
        std::os::unix::fs::symlink(path.trim(), &stdcxx)?;
    }
    let native = native_dir();
    if fs::read_link(&native).is_ok_and(|to| to == kept) {
        return Ok(());
    }
    let parent = native.parent().context("the native folder has a parent")?;
    fs::create_dir_all(parent)?;
    match fs::symlink_metadata(&native) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&native)?,
        Ok(_) => fs::remove_file(&native)?,
        Err(_) => {}
    }
    std::os::unix::fs::symlink(kept, &native)?;
    Ok(())
}
