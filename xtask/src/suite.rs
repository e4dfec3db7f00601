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

/// Tests at a time on each core: they wait for kernels, disks and containers more than they work.
const THREADS_PER_CORE: usize = 4;
/// Tests at a time on any machine: each may have a server of its own.
const THREADS_MAX: usize = 16;

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
        // And in a line each: the logs of a cluster that are part of a report are long.
        for failure in &failed {
            reasons(&failure.report).for_each(|reason| step(format!("{}: {reason}", failure.package)));
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
        failed.extend(run_binary(binary, filter)?);
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
fn run_binary(binary: &Binary, filter: Option<&str>) -> Result<Option<Failure>> {
    step(format!("testing {}", binary.package));
    let mut command = as_root(&binary.path);
    command.current_dir(repo::root()).args(filter).stdout(Stdio::piped());
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        command.arg(format!("--test-threads={}", (cores * THREADS_PER_CORE).min(THREADS_MAX)));
    }
    let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.path.display()))?;
    let stdout = child.stdout.take().context("the output of the tests is piped")?;
    let (done, report) = mpsc::channel();
    std::thread::spawn(move || done.send(pass_on(BufReader::new(stdout), std::io::stdout())));
    let status = child.wait()?;
    // What a test left running may hold the pipe open.
    let mut report = report.recv_timeout(REST).unwrap_or_else(|_| Ok(String::new()))?;
    if status.success() {
        return Ok(None);
    }
    if report.is_empty() {
        // A crate whose process was killed has no report of its own.
        report = format!("its tests ended with {status}\n");
    }
    Ok(Some(Failure { package: binary.package.clone(), report }))
}

/// Copies the output of a test binary but for the tests that passed, more than a thousand in all, and returns the part
/// of it that is about failures.
fn pass_on(mut from: impl BufRead, mut to: impl Write) -> Result<String> {
    let (mut report, mut line) = (String::new(), Vec::new());
    while from.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let words = text.trim_end();
        let passed = words.starts_with("test ") && words.ends_with(" ... ok");
        if !passed && !words.is_empty() {
            to.write_all(&line)?;
        }
        if !report.is_empty() || words == "failures:" {
            report.push_str(&text);
        }
        line.clear();
    }
    Ok(report)
}

/// The tests of a report with where they failed and the first line of why.
fn reasons(report: &str) -> impl Iterator<Item = String> {
    let mut lines = report.lines();
    std::iter::from_fn(move || {
        // `thread 'NAME' (ID) panicked at FILE:LINE:COLUMN:`, and the message below it.
        let (thread, at) =
            lines.by_ref().find_map(|line| line.strip_prefix("thread '")?.split_once(" panicked at "))?;
        let name = thread.split('\'').next().unwrap_or_default();
        Some(format!("{name} at {at} {}", lines.next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: &str = "failures:\n\n---- a stdout ----\n\nthread 'm::a' (7) panicked at x.rs:1:2:\nnot equal\n  left: 1\n\n\n\
        failures:\n    m::a\n\ntest result: FAILED. 1 passed; 1 failed\n";

    /// What is passed on of an output, and what is kept of it.
    #[track_caller]
    fn check(output: &str, passed_on: &str, report: &str) {
        let mut printed = Vec::new();
        assert_eq!(pass_on(output.as_bytes(), &mut printed).unwrap(), report);
        assert_eq!(String::from_utf8(printed).unwrap(), passed_on);
    }

    #[test]
    fn only_what_is_no_success_is_passed_on() {
        let (begin, end) = ("running 1 test\n", "test result: ok. 1 passed\n");
        check(&format!("\n{begin}test a ... ok\n\n{end}\n"), &format!("{begin}{end}"), "");
        let slow = "test b has been running for over 60 seconds\n";
        check(&format!("test a ... ok\n{slow}"), slow, "");
    }

    #[test]
    fn failures_are_told_again() {
        let without_gaps = BAD.replace("\n\n\n", "\n").replace("\n\n", "\n");
        let failed = "test m::a ... FAILED\n";
        check(&format!("test b ... ok\n{failed}\n{BAD}"), &format!("{failed}{without_gaps}"), BAD);
    }

    #[test]
    fn each_failure_has_a_line() {
        assert_eq!(reasons(BAD).collect::<Vec<_>>(), ["m::a at x.rs:1:2: not equal"]);
        assert_eq!(reasons("its tests ended with signal 9\n").count(), 0);
    }
}
