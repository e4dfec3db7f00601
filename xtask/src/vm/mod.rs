//! Emulated machines, for what the machine at hand cannot show: other kernels, cgroup v2 alone.
//!
//! Slow (every instruction is translated) and without any way to the outside. Nothing of one is on disk but the
//! kernel in the cache, and it cannot outlive the process that started it.

mod cpio;
mod kernel;

use crate::run::{output, which};
use anyhow::{Context, Result, bail};
use cpio::Archive;
pub use kernel::Kernel;
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The address of a machine's only interface besides `lo`; it leads nowhere.
pub const ADDRESS: &str = "192.168.77.2";

const EMULATOR: &str = "qemu-system-x86_64";
const INIT: &str = include_str!("init.sh");
/// What a node needs beyond what these kernels have built in, in the order of loading.
const MODULES: [&str; 8] = [
    "fs/overlayfs/overlay",
    "drivers/net/dummy",
    "drivers/net/veth",
    "net/ipv4/udp_tunnel",
    "net/ipv6/ip6_udp_tunnel",
    "drivers/net/vxlan/vxlan",
    "net/sched/sch_ingress",
    "net/sched/cls_bpf",
];
const CONTAINERD: [&str; 4] = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"];

/// A machine that has not been started: its kernel and its files.
pub struct Machine {
    kernel: Kernel,
    files: Archive,
}

impl Machine {
    /// A machine with busybox, containerd and its network; it runs the shell script `scenario` and ends with it.
    pub fn new(kernel: Kernel, scenario: &str) -> Result<Self> {
        let mut machine = Self { kernel, files: Archive::default() };
        let files = &mut machine.files;
        files.file("init", 0o755, INIT.as_bytes());
        files.file("scenario", 0o644, scenario.as_bytes());
        for dir in ["tmp", "var/lib", "root"] {
            files.directory(dir);
        }
        files.file("etc/passwd", 0o644, b"root:x:0:0::/root:/bin/sh\nkeelson:x:999:999::/:/bin/false\n");
        files.file("etc/group", 0o644, b"root:x:0:\nkeelson:x:999:\n");
        files.file("etc/hosts", 0o644, b"127.0.0.1 localhost\n");
        files.file("etc/resolv.conf", 0o644, b"");
        machine.add_busybox()?;
        machine.add_modules()?;
        for program in CONTAINERD {
            let file = which(program).with_context(|| format!("{program} is missing: cargo xtask setup"))?;
            machine.add_dynamic(&file)?;
        }
        Ok(machine)
    }

    /// Adds a file as it is; `path` has no leading slash.
    pub fn add(&mut self, path: &str, mode: u32, file: &Path) -> Result<()> {
        let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        self.files.file(path, mode, &content);
        Ok(())
    }

    /// Adds a program without what is in it for debuggers.
    pub fn add_stripped(&mut self, path: &str, file: &Path) -> Result<()> {
        let stripped = tempfile::NamedTempFile::new()?;
        output(Command::new("strip").arg("-o").arg(stripped.path()).arg(file))?;
        self.add(path, 0o755, stripped.path())
    }

    fn add_busybox(&mut self) -> Result<()> {
        let busybox = which("busybox").context("busybox-static is missing: cargo xtask setup")?;
        self.add("bin/busybox", 0o755, &busybox)?;
        for applet in output(Command::new(&busybox).arg("--list"))?.lines().filter(|name| *name != "busybox")
        {
            self.files.link(&format!("bin/{applet}"), "/bin/busybox");
        }
        Ok(())
    }

    fn add_modules(&mut self) -> Result<()> {
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let order: Vec<_> = MODULES.iter().map(|path| name(path)).collect();
        self.files.file("modules/order", 0o644, order.join("\n").as_bytes());
        for path in MODULES {
            let module = self.kernel.module(path)?;
            self.files.file(&format!("modules/{}.ko", name(path)), 0o644, &module);
        }
        Ok(())
    }

    /// Adds a program and the libraries that it is linked to.
    fn add_dynamic(&mut self, file: &Path) -> Result<()> {
        let name = file.file_name().context("a program has a name")?.to_string_lossy().into_owned();
        self.add(&format!("usr/bin/{name}"), 0o755, file)?;
        for library in
            output(Command::new("ldd").arg(file))?.split_whitespace().filter(|w| w.starts_with('/'))
        {
            self.add(library.trim_start_matches('/'), 0o755, Path::new(library))?;
        }
        Ok(())
    }

    /// Runs the machine to its end and returns what it wrote to its console. One that is not off within `limit` is
    /// an error with the console's last lines.
    pub fn run(self, limit: Duration) -> Result<String> {
        let emulator = which(EMULATOR).with_context(|| {
            format!("{EMULATOR} is missing: cargo xtask setup, or apt install qemu-system-x86")
        })?;
        // Without names: gone with this process, however it ends.
        let (mut files, mut console) = (tempfile::tempfile()?, tempfile::tempfile()?);
        files.write_all(&self.files.finish())?;
        let mut command = Command::new(emulator);
        command
            // One processor: with two, a kernel that changes its own code while the other runs it is emulated wrongly.
            .args(["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "2560"])
            .args(["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel"])
            .arg(self.kernel.image())
            .arg("-initrd")
            .arg(path_of(&files))
            .args(["-append", "console=ttyS0 panic=-1 quiet rdinit=/init"])
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console.try_clone()?);
        let mut running = Running::start(&mut command)?;
        let ended = running.wait(limit)?;
        drop(running);
        let mut text = Vec::new();
        console.rewind()?;
        console.read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text).replace('\r', "");
        if !ended {
            bail!("the machine is not off within {limit:?}; the end of its console:\n{}", tail(&text));
        }
        Ok(text)
    }
}

/// The last lines of a console.
pub fn tail(console: &str) -> &str {
    const LINES: usize = 80;
    console.rmatch_indices('\n').nth(LINES).map_or(console, |(at, _)| &console[at + 1..])
}

/// How another process of ours opens a file of this one.
fn path_of(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// The emulator's process.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        // SAFETY: prctl is async-signal-safe and the only call between fork and exec.
        unsafe {
            command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?));
        }
        Ok(Self(command.spawn().context("the emulator does not start")?))
    }

    /// Whether it ended within `limit`.
    fn wait(&mut self, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if self.0.try_wait()?.is_some() {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
