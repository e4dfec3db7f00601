//! `cargo xtask verify` looks and writes nothing; `cargo xtask fix` writes what can be mended by a machine.

use crate::run::{output, run, step};
use crate::{repo, tidy};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::process::Command;

/// Licences that a dependency may have; one of an `OR` suffices. A crate that needs another one is an exception by
/// name, with a reason, or has no place here.
const LICENCES: &[&str] =
    &["Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "Unicode-3.0", "Zlib"];

/// Manifests whose trees are looked at: the workspace's, and that of the kernel programs.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "ebpf/programs/Cargo.toml"];

/// Crates that must not be in the tree, and why.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-rs", "one TLS provider: ring"),
    ("openssl", "one TLS provider: ring"),
    ("native-tls", "one TLS provider: ring"),
    ("k8s-openapi", "components read narrow views, not generated types"),
    ("spdy-mux", "GPL"),
    ("rustables", "GPL"),
];

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(repo::root()).args(args);
    command
}

/// Formatting, clippy, licences and tidy.
pub fn verify() -> Result<()> {
    step("formatting");
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    step("tidy");
    let findings = tidy::check(&repo::root())?;
    if !findings.is_empty() {
        bail!("tidy found:\n  {}", findings.join("\n  "));
    }
    step("licences");
    licences()?;
    step("clippy");
    run(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Formats, and applies clippy's machine-applicable suggestions.
pub fn fix() -> Result<()> {
    run(&mut cargo(&["fmt", "--all"]))?;
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"]))
}

/// Every dependency has an allowed licence and none is banned.
fn licences() -> Result<()> {
    let mut wrong = BTreeMap::new();
    for manifest in MANIFESTS {
        let text =
            output(&mut cargo(&["metadata", "--format-version=1", "--locked", "--manifest-path", manifest]))?;
        let metadata: serde_json::Value = serde_json::from_str(&text)?;
        let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
        for package in packages {
            let name = package["name"].as_str().unwrap_or_default();
            let licence = package["license"].as_str().unwrap_or_default();
            wrong.extend(judge(name, licence).map(|why| (name.to_owned(), why)));
        }
    }
    if !wrong.is_empty() {
        let lines: Vec<_> = wrong.iter().map(|(name, what)| format!("{name} {what}")).collect();
        bail!("dependencies that must go:\n  {}", lines.join("\n  "));
    }
    Ok(())
}

/// What is wrong with a crate of this name and licence.
fn judge(name: &str, licence: &str) -> Option<String> {
    if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
        return Some(format!("is banned: {why}"));
    }
    (!is_allowed(licence)).then(|| format!("has the licence {licence:?}"))
}

/// Whether an SPDX expression can be met with allowed licences alone.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    expression.split(" AND ").all(|part| part.split(" OR ").any(|one| LICENCES.contains(&one.trim())))
}

#[cfg(test)]
mod tests {
    use super::{BANNED, is_allowed, judge};

    #[test]
    fn expressions() {
        for (expression, allowed) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("Apache-2.0 WITH LLVM-exception OR MIT", true),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("GPL-3.0-or-later", false),
            ("MIT AND GPL-2.0", false),
            ("MPL-2.0+", false),
            ("CC0-1.0", false),
            ("CDLA-Permissive-2.0", false),
            ("BSL-1.0", false),
            ("Unlicense", false),
            ("Unlicense OR MIT", true),
            ("bzip2-1.0.6", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression), allowed, "{expression}");
        }
    }

    #[test]
    fn what_must_go() {
        for (name, _) in BANNED {
            assert!(judge(name, "MIT").is_some_and(|why| why.starts_with("is banned")), "{name}");
        }
        assert_eq!(judge("other", "GPL-3.0-only").as_deref(), Some("has the licence \"GPL-3.0-only\""));
        assert_eq!(judge("other", "MIT"), None);
    }
}
