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

/// What is kept of the output of a test binary.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    passed: usize,
    /// From `failures:` on: empty when all is well.
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
        let (passed, failure) = run_binary(binary, filter)?;
        step(format!("{}: {passed} passed, {:.1} s", binary.package, start.elapsed().as_secs_f64()));
        failed.extend(failure);
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

/// Runs the tests of a crate: how many passed, and what those that failed have to say, if any did. Tests touch
/// namespaces, cgroups and BPF: they run as root.
fn run_binary(binary: &Binary, filter: Option<&str>) -> Result<(usize, Option<Failure>)> {
    step(format!("testing {}", binary.package));
    let mut command = as_root(&binary.path);
    command.current_dir(repo::root()).args(filter).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.path.display()))?;
    let stdout = child.stdout.take().context("the output of the tests is piped")?;
    let (done, heard) = mpsc::channel();
    std::thread::spawn(move || done.send(listen(BufReader::new(stdout), std::io::stdout())));
    let status = child.wait()?;
    // What a test left running may hold the pipe open.
    let Heard { passed, mut report } = heard.recv_timeout(REST).unwrap_or_else(|_| Ok(Heard::default()))?;
    if status.success() {
        return Ok((passed, None));
    }
    if report.is_empty() {
        // A crate whose process was killed has no report of its own.
        report = format!("its tests ended with {status}\n");
    }
    Ok((passed, Some(Failure { package: binary.package.clone(), report })))
}

/// Copies the output of a test binary but for what went well, of which there are more than a thousand lines.
fn listen(mut from: impl BufRead, mut to: impl Write) -> Result<Heard> {
    let (mut heard, mut line) = (Heard::default(), Vec::new());
    while from.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let words = text.trim_end();
        let passed = words.starts_with("test ") && words.ends_with(" ... ok");
        heard.passed += usize::from(passed);
        if !passed
            && !words.is_empty()
            && !words.starts_with("running ")
            && !words.starts_with("test result: ok")
        {
            to.write_all(&line)?;
        }
        if !heard.report.is_empty() || words == "failures:" {
            heard.report.push_str(&text);
        }
        line.clear();
    }
    Ok(heard)
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
    fn check(output: &str, passed_on: &str, passed: usize, report: &str) {
        let mut printed = Vec::new();
        let heard = listen(output.as_bytes(), &mut printed).unwrap();
        assert_eq!(heard, Heard { passed, report: report.to_owned() });
        assert_eq!(String::from_utf8(printed).unwrap(), passed_on);
    }

    #[test]
    fn only_what_is_no_success_is_printed() {
        check("\nrunning 1 test\ntest a ... ok\n\ntest result: ok. 1 passed\n", "", 1, "");
        check(
            "test a ... ok\ntest b has been running for over 60 seconds\n",
            "test b has been running for over 60 seconds\n",
            1,
            "",
        );
    }

    #[test]
    fn failures_are_told_again() {
        let mut printed = Vec::new();
        let heard =
            listen(format!("test b ... ok\ntest m::a ... FAILED\n\n{BAD}").as_bytes(), &mut printed).unwrap();
        assert_eq!(heard, Heard { passed: 1, report: BAD.to_owned() });
        let printed = String::from_utf8(printed).unwrap();
        for line in BAD.lines().filter(|line| !line.is_empty()) {
            assert!(printed.contains(line), "{line}: {printed}");
        }
        assert!(printed.starts_with("test m::a ... FAILED\n"), "{printed}");
    }

    #[test]
    fn each_failure_has_a_line() {
        assert_eq!(reasons(BAD).collect::<Vec<_>>(), ["m::a at x.rs:1:2: not equal"]);
        assert_eq!(reasons("its tests ended with signal 9\n").count(), 0);
    }
}
