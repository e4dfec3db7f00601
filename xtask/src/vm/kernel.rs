//! Debian's kernels for emulated machines: unpacked into the cache, never installed.

use crate::repo;
use crate::run::{as_root, output, run, step};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A kernel with its modules.
pub struct Kernel {
    dir: PathBuf,
    /// As `uname -r` shows it.
    pub release: String,
}

impl Kernel {
    /// Debian's cloud kernel of `version` ("6.12"), from the cache or else downloaded into it (35 MB).
    pub fn cloud(version: &str) -> Result<Self> {
        let dir = repo::cache().join(format!("kernel-{version}"));
        if !dir.exists() {
            download(version, &dir)?;
        }
        let release = only_entry(&dir.join("lib/modules"))?;
        Ok(Self { dir, release })
    }

    /// What a machine boots.
    pub fn image(&self) -> PathBuf {
        self.dir.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// A module by its path below `kernel/`, without its suffix, unpacked.
    pub fn module(&self, path: &str) -> Result<Vec<u8>> {
        let file = self.dir.join("lib/modules").join(&self.release).join("kernel").join(path);
        let plain = file.with_extension("ko");
        if plain.exists() {
            return Ok(fs::read(plain)?);
        }
        let packed = file.with_extension("ko.xz");
        let unpacked = Command::new("xz").arg("-dc").arg(&packed).output().context("xz does not start")?;
        if !unpacked.status.success() {
            bail!("{}: {}", packed.display(), String::from_utf8_lossy(&unpacked.stderr).trim());
        }
        Ok(unpacked.stdout)
    }
}

fn download(version: &str, dir: &Path) -> Result<()> {
    let wanted = format!("linux-image-{version}-cloud-amd64");
    step(format!("downloading Debian's kernel {wanted} once"));
    let what_to_do = || {
        format!("{wanted} cannot be had: add a Debian mirror that has it to apt's sources, with -security")
    };
    let package = match versioned(&wanted) {
        Ok(package) => package,
        Err(_) => {
            run(as_root("apt-get").args(["update", "-qq"]))?;
            versioned(&wanted).with_context(what_to_do)?
        }
    };
    fs::create_dir_all(repo::cache())?;
    // Beside its final place, which it gets only as a whole.
    let scratch = tempfile::tempdir_in(repo::cache())?;
    output(Command::new("apt-get").current_dir(scratch.path()).args(["download", "-qq", &package]))
        .with_context(what_to_do)?;
    let archive = scratch.path().join(only_entry(scratch.path())?);
    let unpacked = scratch.path().join("unpacked");
    output(Command::new("dpkg").arg("-x").arg(&archive).arg(&unpacked))?;
    match fs::rename(&unpacked, dir) {
        // Another test run was faster.
        Err(_) if dir.exists() => Ok(()),
        result => result.with_context(|| format!("cannot make {}", dir.display())),
    }
}

/// The package that the package without a full version stands for.
fn versioned(package: &str) -> Result<String> {
    let depends = output(Command::new("apt-cache").args(["depends", package]))?;
    let found = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    Ok(format!("linux-image-{}", found.with_context(|| format!("apt knows no {package}"))?))
}

fn only_entry(dir: &Path) -> Result<String> {
    let entry = fs::read_dir(dir).ok().and_then(|mut entries| entries.next());
    let entry =
        entry.with_context(|| format!("{} is empty: remove the kernel's folder", dir.display()))??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}
