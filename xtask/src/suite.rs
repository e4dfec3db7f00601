//! `cargo xtask test`: everything a change needs, from unit tests to a cluster driven by kubectl.

use crate::run::{as_root, step};
use crate::setup::{Need, setup};
use crate::{build, images, repo};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long the last output of tests that have ended is waited for.
const REST: Duration = Duration::from_secs(10);

/// A test binary, named by its crate.
struct Binary {
    package: String,
    path: PathBuf,
}

/// The tests of a crate that failed.
struct Failure {
    package: String,
    /// What each of them printed, and their names.
    report: String,
}

/// Sets up, builds and runs every test whose name contains `filter`; `packages` limits the crates.
pub fn test(filter: Option<&str>, packages: &[String]) -> Result<()> {
    let begin = Instant::now();
    let failed = run_all(filter, packages)?;
    let took = duration(begin.elapsed());
    if !failed.is_empty() {
        // Said again at the end: a crate that failed early is thousands of lines away by now.
        for failure in &failed {
            step(format!("failed in {}", failure.package));
            eprint!("{}", failure.report);
        }
        let packages: Vec<_> = failed.into_iter().map(|failure| failure.package).collect();
        bail!("tests failed after {took} in: {}", packages.join(", "));
    }
    step(format!("all tests passed in {took}, setup and build included"));
    Ok(())
}

/// `12 min 3 s`: what a run of many minutes is told in.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{} min {} s", seconds / 60, seconds % 60)
}

/// What failed, crate by crate.
fn run_all(filter: Option<&str>, packages: &[String]) -> Result<Vec<Failure>> {
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
        if let Some(report) = run_binary(binary, filter)? {
            failed.push(Failure { package: binary.package.clone(), report });
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

/// Runs the tests of a crate; what those that failed have to say, if any did. Tests touch namespaces, cgroups and
/// BPF: they run as root.
fn run_binary(binary: &Binary, filter: Option<&str>) -> Result<Option<String>> {
    step(format!("testing {}", binary.package));
    let mut command = as_root(&binary.path);
    command.current_dir(repo::root()).env("RUST_BACKTRACE", "1").args(filter).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.path.display()))?;
    let stdout = child.stdout.take().context("the output of the tests is piped")?;
    let (done, report) = mpsc::channel();
    std::thread::spawn(move || done.send(pass_on(BufReader::new(stdout), std::io::stdout())));
    let status = child.wait()?;
    // What a test left running may hold the pipe open.
    let report = report.recv_timeout(REST).unwrap_or_else(|_| Ok(String::new()))?;
    if status.success() {
        return Ok(None);
    }
    // A crate whose process was killed has no report of its own.
    Ok(Some(if report.is_empty() { format!("its tests ended with {status}\n") } else { report }))
}

/// Copies the output of a test binary, and returns the part of it that is about failures.
fn pass_on(mut from: impl BufRead, mut to: impl Write) -> Result<String> {
    let (mut report, mut line) = (String::new(), Vec::new());
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        if !report.is_empty() || text.trim_end() == "failures:" {
            report.push_str(&text);
        }
        line.clear();
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_again() {
        let good = "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed\n";
        let bad =
            "failures:\n\n---- a stdout ----\nassertion failed\n\nfailures:\n    a\n\ntest result: FAILED.\n";
        for (output, want) in [(good.to_owned(), ""), (format!("test a ... FAILED\n\n{bad}"), bad)] {
            let mut printed = Vec::new();
            assert_eq!(pass_on(output.as_bytes(), &mut printed).unwrap(), want);
            assert_eq!(String::from_utf8(printed).unwrap(), output, "everything is passed on");
        }
    }
}
