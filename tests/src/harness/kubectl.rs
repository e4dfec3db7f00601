//! Real kubectl against a test cluster.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use xtask::setup::find_kubectls;

/// The minor versions that the tests ask for.
const ASKED: [u32; 3] = [27, 30, 33];

/// How long a kubectl may run: longer than any test means it to.
const LIMIT: Duration = Duration::from_secs(240);

/// The kubectls of this machine. Whoever asks first says what will be used in place of what: a run with one version is
/// not what a run with three is.
static FOUND: LazyLock<Vec<xtask::setup::Kubectl>> = LazyLock::new(|| {
    let found = find_kubectls();
    let minors: Vec<u32> = found.iter().map(|k| k.minor).collect();
    // Past the test harness, which keeps to itself what a test prints that passes.
    let _ = writeln!(std::io::stderr(), "{}", chosen(&minors));
    found
});

fn closest(found: &[u32], asked: u32) -> Option<u32> {
    found.iter().copied().min_by_key(|minor| minor.abs_diff(asked))
}

/// What is used for each version that is asked for.
fn chosen(found: &[u32]) -> String {
    let each = ASKED.map(|asked| match closest(found, asked) {
        Some(minor) if minor == asked => format!("1.{asked}"),
        Some(minor) => format!("1.{minor} for 1.{asked}, which is not here"),
        None => format!("none for 1.{asked}"),
    });
    format!("kubectl: {}", each.join(", "))
}

#[test]
fn what_is_missing_is_said() {
    assert_eq!(chosen(&[27, 30, 33, 34]), "kubectl: 1.27, 1.30, 1.33");
    let one = "kubectl: 1.30 for 1.27, which is not here, 1.30, 1.30 for 1.33, which is not here";
    assert_eq!(chosen(&[30]), one);
    assert_eq!(chosen(&[]), "kubectl: none for 1.27, none for 1.30, none for 1.33");
    assert_eq!(closest(&[27, 32, 35], 33), Some(32));
}

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
    /// kubectl 1.`minor`, or the closest version that this machine has; which one that is, the run says at its start.
    pub fn version(minor: u32, kubeconfig: PathBuf, cache: PathBuf) -> Self {
        assert!(ASKED.contains(&minor), "1.{minor} is not among the versions that are told of: {ASKED:?}");
        let minors: Vec<u32> = FOUND.iter().map(|k| k.minor).collect();
        let closest = closest(&minors, minor).expect("a kubectl is installed");
        let program = FOUND.iter().find(|k| k.minor == closest).expect("it is one of them").path.clone();
        Self { program, kubeconfig, cache }
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
        let (ended, end) = mpsc::channel::<()>();
        let pid = Pid::from_raw(child.id().cast_signed());
        let limit = std::thread::spawn(move || {
            let is_over = end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout);
            if is_over {
                // It says where each of its goroutines is, and ends.
                let _ = kill(pid, Signal::SIGQUIT);
            }
            is_over
        });
        let output = child.wait_with_output().expect("kubectl ends");
        drop(ended);
        let is_over = limit.join().expect("the limit does not panic");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!is_over, "kubectl {} has not ended within {LIMIT:?}: {said}", args.join(" "));
        writer.join().expect("the writer does not panic");
        Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Runs and returns stdout; panics when it fails.
    #[track_caller]
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
    #[track_caller]
    pub fn apply(&self, manifest: &str) -> String {
        let output = self.with_input(&["apply", "-f", "-"], manifest);
        assert_eq!(output.code, 0, "kubectl apply: {}{}", output.stdout, output.stderr);
        output.stdout
    }
}
