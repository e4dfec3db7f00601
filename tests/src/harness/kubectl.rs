//! Real kubectl against a test cluster.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use xtask::setup::find_kubectls;

/// What a command printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    /// The exit code; -1 when it died of a signal.
    pub code: i32,
}

/// A kubectl of one version with one kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    /// Discovery is cached per test, not in the user's home.
    cache: PathBuf,
}

impl Kubectl {
    /// kubectl 1.`minor`, or the closest version that this machine has.
    pub fn version(minor: u32, kubeconfig: PathBuf, cache: PathBuf) -> Self {
        let all = find_kubectls();
        let closest = all.iter().min_by_key(|k| k.minor.abs_diff(minor)).expect("a kubectl is installed");
        Self { program: closest.path.clone(), kubeconfig, cache }
    }

    /// The command, to be run by the caller.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--cache-dir").arg(&self.cache).args(args);
        command
    }

    /// Runs to the end, whatever it is.
    pub fn try_run(&self, args: &[&str]) -> Output {
        self.with_input(args, "")
    }

    /// Runs to the end with `input` on stdin.
    pub fn with_input(&self, args: &[&str], input: &str) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || {
            // A command that does not read its input closes it.
            let _ = stdin.write_all(input.as_bytes());
        });
        let output = child.wait_with_output().expect("kubectl ends");
        writer.join().expect("the writer does not panic");
        Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Runs and returns stdout; panics when it fails.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.try_run(args);
        assert_eq!(output.code, 0, "kubectl {}: {}{}", args.join(" "), output.stdout, output.stderr);
        output.stdout
    }

    /// Runs and returns stdout, or what it said when it failed.
    pub fn ask(&self, args: &[&str]) -> Result<String, String> {
        let output = self.try_run(args);
        if output.code == 0 { Ok(output.stdout.trim().to_owned()) } else { Err(output.stderr) }
    }

    /// Applies a manifest given as text.
    pub fn apply(&self, manifest: &str) -> String {
        let output = self.with_input(&["apply", "-f", "-"], manifest);
        assert_eq!(output.code, 0, "kubectl apply: {}{}", output.stdout, output.stderr);
        output.stdout
    }
}
