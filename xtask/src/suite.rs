//! `cargo xtask test`: everything a change needs, from unit tests to a cluster driven by kubectl.

use crate::run::{as_root, step};
use crate::setup::{Need, setup};
use crate::{build, images, repo};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A test binary, named by its crate.
struct Binary {
    package: String,
    path: PathBuf,
}

/// Sets up, builds and runs every test whose name contains `filter`; `packages` limits the crates.
pub fn test(filter: Option<&str>, packages: &[String]) -> Result<()> {
    let begin = Instant::now();
    let failed = run_all(filter, packages)?;
    let took = duration(begin.elapsed());
    if !failed.is_empty() {
        bail!("tests failed after {took} in: {}", failed.join(", "));
    }
    step(format!("all tests passed in {took}, setup and build included"));
    Ok(())
}

/// `12 min 3 s`: what a run of many minutes is told in.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{} min {} s", seconds / 60, seconds % 60)
}

/// The crates whose tests failed.
fn run_all(filter: Option<&str>, packages: &[String]) -> Result<Vec<String>> {
    setup(Need::Run)?;
    let whole = packages.is_empty() || packages.iter().any(|p| p == "keelson-tests");
    if whole {
        build::keelson(false)?;
        images::build_all()?;
    } else {
        build::bpf()?;
    }
    step("building the tests");
    let binaries = build_tests(packages)?;
    let mut failed = Vec::new();
    for binary in &binaries {
        let start = Instant::now();
        if !run_binary(binary, filter)? {
            failed.push(binary.package.clone());
        }
        step(format!("{}: {:.1} s", binary.package, start.elapsed().as_secs_f64()));
    }
    Ok(failed)
}

fn build_tests(packages: &[String]) -> Result<Vec<Binary>> {
    let mut command = Command::new("cargo");
    command.current_dir(repo::root()).args([
        "test",
        "--locked",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    if packages.is_empty() {
        command.arg("--workspace");
    }
    for package in packages {
        command.args(["--package", package]);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let stdout = child.stdout.take().context("cargo's output is piped")?;
    let mut binaries = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(&line?) else { continue };
        let Some(path) = message["executable"].as_str() else { continue };
        if message["profile"]["test"] == true {
            let package = message["target"]["name"].as_str().unwrap_or_default().replace('_', "-");
            binaries.push(Binary { package, path: path.into() });
        }
    }
    if !child.wait()?.success() {
        bail!("the tests do not build");
    }
    // The end-to-end tests come last: what breaks them is found sooner elsewhere.
    binaries.sort_by_key(|b| (b.package == "keelson-tests", b.package.clone()));
    Ok(binaries)
}

/// Tests touch namespaces, cgroups and BPF: they run as root.
fn run_binary(binary: &Binary, filter: Option<&str>) -> Result<bool> {
    step(format!("testing {}", binary.package));
    let mut command = as_root(&binary.path);
    command.current_dir(repo::root()).env("RUST_BACKTRACE", "1").args(filter);
    let status = command.status().with_context(|| format!("cannot start {}", binary.path.display()))?;
    Ok(status.success())
}
