//! `keelson up`: a server and an agent on this machine, each a process of its own, kept running.

mod files;
mod kept;

use crate::arguments::Up;
use crate::process::terminate_children;
use crate::users::ensure_user;
use anyhow::{Context, Result, bail};
use files::Files;
use kept::Kept;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The user that the server runs as.
const SERVER_USER: &str = "keelson";
/// Far more than a kubeconfig has.
const KUBECONFIG_BYTES_MAX: u64 = 1 << 20;

/// How often the children are looked at.
const LOOK: Duration = Duration::from_millis(100);

pub fn run(arguments: &Up) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("keelson up must run as root (namespaces, cgroups, BPF): sudo keelson up");
    }
    let files = Files::write(arguments)?;
    let _only = only_one(&files.state)?;
    ensure_user(SERVER_USER)?;
    let ending = crate::process::ending_flag()?;
    let program = std::env::current_exe()?;
    let mut children = [
        Kept::new("server", &program, &["server", "--user", SERVER_USER], &files.server),
        Kept::new("agent", &program, &["agent"], &files.agent),
    ];
    eprintln!("==> starting; kubeconfig: {}", files.kubeconfig.display());
    let result = keep(&mut children, ending, &files);
    eprintln!("==> ending; pods run on");
    // The agent first: it has a last word to say to the server.
    terminate_children(children.iter_mut().rev().filter_map(Kept::child));
    result
}

/// Two of them would fight for ports and files.
fn only_one(state: &Path) -> Result<Flock<File>> {
    fs::create_dir_all(state).with_context(|| format!("cannot make {}", state.display()))?;
    let folder = File::open(state)?;
    Flock::lock(folder, FlockArg::LockExclusiveNonblock)
        .map_err(|_| anyhow::anyhow!("another keelson up has {}: end it first", state.display()))
}

/// Until this process is asked to end, or a child cannot be kept.
fn keep(children: &mut [Kept], ending: &AtomicBool, files: &Files) -> Result<()> {
    let mut announced = false;
    while !ending.load(Ordering::Relaxed) {
        for child in &mut *children {
            child.look()?;
        }
        // The server, which is not root, renews it; only root can write where users look for it.
        let installed = install_kubeconfig(&files.servers_kubeconfig, &files.kubeconfig)?;
        if !announced && installed && answers(files.api) {
            announced = true;
            announce(&files.kubeconfig, files.api);
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn announce(kubeconfig: &Path, api: SocketAddr) {
    eprintln!(
        "==> the API serves at https://{api}\n\nTry:\n  export KUBECONFIG={}\n  kubectl get nodes -o wide\n\n\
         To join another machine, there:\n  sudo keelson agent --server https://{api} --token TOKEN\n\
         with what `sudo keelson token` prints here.\n",
        kubeconfig.display()
    );
}

/// Whether the API's port answers.
fn answers(api: SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&api, Duration::from_millis(200)).is_ok()
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
