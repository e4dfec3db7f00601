//! kubectl: the project ships none; the machine brings one, 1.27 or later.

use crate::run::{output, which};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// The oldest minor version that is supported.
const MINOR_MIN: u32 = 27;

/// A kubectl of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubectl {
    pub path: PathBuf,
    /// The minor version: 30 for 1.30.x.
    pub minor: u32,
}

/// Every kubectl from 1.27 on: the one on the PATH, and those named `kubectl.1.NN` or `kubectl-1.NN` beside it
/// or on the PATH; by version, without doubles.
pub fn find_kubectls() -> Vec<Kubectl> {
    let mut candidates = Vec::new();
    if let Some(main) = which("kubectl") {
        let real = main.canonicalize().unwrap_or_else(|_| main.clone());
        for dir in [main.parent(), real.parent()].into_iter().flatten() {
            for minor in MINOR_MIN..60 {
                for name in [format!("kubectl.1.{minor}"), format!("kubectl-1.{minor}")] {
                    candidates.push(dir.join(name));
                }
            }
        }
        candidates.push(main);
    }
    let mut found: Vec<Kubectl> = Vec::new();
    for path in candidates.into_iter().filter(|p| p.exists()) {
        let Some(minor) = minor_version(&path) else { continue };
        if minor >= MINOR_MIN && !found.iter().any(|k| k.minor == minor) {
            found.push(Kubectl { path, minor });
        }
    }
    found.sort_by_key(|k| k.minor);
    found
}

fn minor_version(path: &PathBuf) -> Option<u32> {
    let text = output(Command::new(path).args(["version", "--client", "-o", "json"])).ok()?;
    let version: serde_json::Value = serde_json::from_str(&text).ok()?;
    let minor = version["clientVersion"]["minor"].as_str()?;
    minor.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

/// Fails with what to install when there is none.
pub fn require() -> Result<()> {
    if find_kubectls().is_empty() {
        bail!(
            "no kubectl 1.{MINOR_MIN} or later found on the PATH (Debian's own is too old); \
             put one there, see https://kubernetes.io/docs/tasks/tools/install-kubectl-linux/"
        );
    }
    Ok(())
}
