//! `keelson up`: a server and an agent on this machine, each a process of its own, kept running.

use crate::arguments::Up;
use crate::process::terminate_children;
use crate::users::ensure_user;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The user that the server runs as.
const SERVER_USER: &str = "keelson";
const CONFIG_DIR: &str = "/etc/keelson";
/// Far more than a kubeconfig has.
const KUBECONFIG_BYTES_MAX: u64 = 1 << 20;

/// How often the children are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The pause before a dead child is started again, doubled each time it dies young.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A child that ran this long has not died young.
const SETTLED: Duration = Duration::from_secs(30);

pub fn run(arguments: &Up) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("keelson up must run as root (namespaces, cgroups, BPF): sudo keelson up");
    }
    ensure_user(SERVER_USER)?;
    let address = match arguments.address {
        Some(address) => address,
        None => default_address()?,
    };
    let files = write_configuration(arguments, address)?;
    let ending = crate::process::ending_flag()?;
    let program = std::env::current_exe()?;
    let mut children = [
        Kept::new("server", &program, &["server", "--user", SERVER_USER], &files.server),
        Kept::new("agent", &program, &["agent"], &files.agent),
    ];
    eprintln!("==> starting; kubeconfig: {}", files.kubeconfig.display());
    let mut announced = false;
    while !ending.load(std::sync::atomic::Ordering::Relaxed) {
        for child in &mut children {
            child.look()?;
        }
        // The server, which is not root, renews it; only root can write where users look for it.
        let installed = install_kubeconfig(&files.servers_kubeconfig, &files.kubeconfig)?;
        if !announced && installed && TcpReady(address).check() {
            announced = true;
            announce(&files.kubeconfig, address);
        }
        std::thread::sleep(LOOK);
    }
    eprintln!("==> ending; pods run on");
    terminate_children(children.iter_mut().filter_map(|c| c.child.as_mut()));
    Ok(())
}

fn announce(kubeconfig: &Path, address: IpAddr) {
    eprintln!(
        "==> the API serves at https://{address}:6443\n\nTry:\n  export KUBECONFIG={}\n  \
         kubectl get nodes -o wide\n  keelson token        (to join other machines)\n",
        kubeconfig.display()
    );
}

/// Whether the API's port answers.
struct TcpReady(IpAddr);

impl TcpReady {
    fn check(&self) -> bool {
        std::net::TcpStream::connect_timeout(&(self.0, 6443).into(), Duration::from_millis(200)).is_ok()
    }
}

struct Files {
    server: PathBuf,
    agent: PathBuf,
    /// Where the server writes the administrator's kubeconfig.
    servers_kubeconfig: PathBuf,
    /// Where its user finds it.
    kubeconfig: PathBuf,
}

/// Copies the kubeconfig when it is new; whether there is one. The source lies in a folder of a user that is not
/// trusted with root's eyes: a link there is not followed.
fn install_kubeconfig(from: &Path, to: &Path) -> Result<bool> {
    let opened = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(from);
    let Ok(source) = opened else { return Ok(false) };
    if !source.metadata()?.is_file() {
        return Ok(false);
    }
    let mut text = Vec::new();
    source.take(KUBECONFIG_BYTES_MAX).read_to_end(&mut text)?;
    if fs::read(to).is_ok_and(|kept| kept == text) {
        return Ok(true);
    }
    let beside = to.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(&text)?;
    fs::rename(&beside, to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(true)
}

/// The address that this machine would speak to others with.
fn default_address() -> Result<IpAddr> {
    // Connecting a UDP socket sends nothing: it only asks the routing table. The address is one of TEST-NET-1.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket
        .connect((Ipv4Addr::new(192, 0, 2, 1), 9))
        .and_then(|()| socket.local_addr())
        .map(|address| address.ip())
        .context("this machine has no default route to tell its address by; say it with --address")
}

/// Writes what this command stands for as ordinary configuration files.
fn write_configuration(arguments: &Up, address: IpAddr) -> Result<Files> {
    let dir = Path::new(CONFIG_DIR);
    fs::create_dir_all(dir).with_context(|| format!("cannot make {CONFIG_DIR}"))?;
    let files = Files {
        server: dir.join("server.yaml"),
        agent: dir.join("agent.yaml"),
        servers_kubeconfig: arguments.state.join("server/admin.kubeconfig"),
        kubeconfig: dir.join("admin.kubeconfig"),
    };
    let state = &arguments.state;
    write_once(
        &files.server,
        &format!(
            "apiVersion: keelson.dev/v1alpha1\nkind: ServerConfig\nstateDir: {}\nadvertiseAddress: {address}\n\
             adminKubeconfig: {}\n",
            state.join("server").display(),
            files.servers_kubeconfig.display(),
        ),
    )?;
    write_once(
        &files.agent,
        &format!(
            "apiVersion: keelson.dev/v1alpha1\nkind: AgentConfig\nserver: https://{address}:6443\n\
             tokenFile: {}\nnodeIP: {address}\nstateDir: {}\ndatapath: {}\n",
            state.join("server/join-token").display(),
            state.display(),
            arguments.datapath,
        ),
    )?;
    Ok(files)
}

/// A file that is there is the user's: it is kept.
fn write_once(file: &Path, text: &str) -> Result<()> {
    if file.exists() {
        eprintln!("==> {} exists and is used as it is", file.display());
        return Ok(());
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// A child process that is started again when it ends.
struct Kept {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
    child: Option<Child>,
    started: Instant,
    pause: Duration,
    /// When a dead one may be started again.
    due: Instant,
}

impl Kept {
    fn new(name: &'static str, program: &Path, args: &[&str], config: &Path) -> Self {
        let mut args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        args.extend(["--config".to_owned(), config.display().to_string()]);
        let now = Instant::now();
        Self { name, program: program.into(), args, child: None, started: now, pause: PAUSE, due: now }
    }

    /// Starts it when it is not running and its pause is over.
    fn look(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child {
            let Some(status) = child.try_wait()? else { return Ok(()) };
            self.pause =
                if self.started.elapsed() >= SETTLED { PAUSE } else { (self.pause * 2).min(PAUSE_MAX) };
            eprintln!("==> {} has ended ({status}), starting it again in {:?}", self.name, self.pause);
            self.due = Instant::now() + self.pause;
            self.child = None;
        }
        if Instant::now() >= self.due {
            let spawned = Command::new(&self.program).args(&self.args).spawn();
            self.child = Some(spawned.with_context(|| format!("cannot start the {}", self.name))?);
            self.started = Instant::now();
        }
        Ok(())
    }
}
