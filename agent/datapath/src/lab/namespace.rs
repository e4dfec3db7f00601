//! Network namespaces and the wires between them.

use std::path::PathBuf;
use std::process::Command;

/// A network namespace with its loopback up.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    pub fn new(role: &str) -> Self {
        let name = format!("{}-{role}", super::unique());
        ip(&format!("netns add {name}"));
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// Runs `ip` within.
    pub fn ip(&self, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.name));
    }

    /// Runs a command within and returns its output; the mounts stay as they are.
    pub fn command(&self, words: &[&str]) -> String {
        let output = Command::new("nsenter")
            .arg(format!("--net={}", self.path().display()))
            .args(words)
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a function on a thread within.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = self.spawn(work);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Starts a thread within.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let path = self.path();
        std::thread::spawn(move || {
            let file = std::fs::File::open(path).unwrap();
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Runs `ip`.
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Gives a namespace an `eth0` with an address, plugged into the bridge `br0` of another.
pub fn wire(switch: &Namespace, end: &Namespace, address: &str) {
    let port = format!("p{}", super::unique().replace("kt", "").replace('-', ""));
    let port = &port[port.len().saturating_sub(12)..];
    switch.ip(&format!("link add q{port} type veth peer name eth0 netns {}", end.name));
    switch.ip(&format!("link set q{port} master br0 up"));
    end.ip(&format!("addr add {address}/24 dev eth0"));
    end.ip("link set eth0 up");
}

/// A namespace that is a switch.
pub fn switch() -> Namespace {
    let switch = Namespace::new("net");
    switch.ip("link add br0 type bridge forward_delay 0");
    switch.ip("link set br0 up");
    switch
}
