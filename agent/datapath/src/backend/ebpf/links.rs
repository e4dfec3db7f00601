//! Programs at their hooks. A pinned link outlives the agent; a new agent swaps its program in, so that no
//! packet and no call passes without one.

use super::clsact;
use super::object::{LoadError, PROGRAMS, Programs};
use super::sys::{self, AttachType, Place};
use keelson_ebpf_abi::{Hook, LAYOUT};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Why a program is not at its hook.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The program is not loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel refused.
    #[error("attaching {hook} to {target}: {source}")]
    Attach {
        /// The program.
        hook: &'static str,
        /// Interface or folder.
        target: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The link could not be pinned or its pin removed.
    #[error("pin {path}: {source}")]
    Pin {
        /// The pin.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The links of this node, by name.
#[derive(Debug)]
pub struct Links {
    folder: Option<PathBuf>,
    /// Links without a pin live as long as this.
    held: BTreeMap<String, OwnedFd>,
    /// The kernel has no tcx, or is treated so.
    clsact: bool,
}

impl Links {
    /// Links under a pin folder, or without one for as long as the process lives.
    pub fn new(pins: Option<&Path>, clsact: bool) -> Result<Self, AttachError> {
        let folder = pins.map(|pins| pins.join(format!("v{LAYOUT}")).join("links"));
        if let Some(path) = &folder {
            std::fs::create_dir_all(path)
                .map_err(|source| AttachError::Pin { path: path.clone(), source })?;
        }
        Ok(Self { folder, held: BTreeMap::new(), clsact })
    }

    /// Attaches a packet program to an interface of the node, after all others there.
    pub fn attach_interface(
        &mut self,
        programs: &mut Programs,
        hook: Hook,
        interface: &str,
        ifindex: u32,
    ) -> Result<(), AttachError> {
        if !self.clsact {
            let name = format!("{interface}-{}", hook.name());
            match self.attach(programs, hook, &name, ifindex, Place::Last) {
                // What kernels say of an attach type that they do not know.
                Err(AttachError::Attach { source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {
                    tracing::info!("this kernel has no tcx: using clsact");
                    self.clsact = true;
                }
                result => return result,
            }
        }
        attach_filter(programs, hook, interface, Place::Last)
    }

    /// Attaches the program of a pod's veth, as a filter on every kernel: each tcx attachment waits for an RCU
    /// grace period under the lock that all network changes share, some ten milliseconds for every pod start,
    /// and the interface is ours alone and takes the filter with it when it goes.
    pub fn attach_pod(&self, programs: &mut Programs, interface: &str) -> Result<(), AttachError> {
        attach_filter(programs, Hook::FromPod, interface, Place::First)
    }

    /// Attaches every socket program to a folder of the cgroup v2 tree.
    pub fn attach_cgroup(&mut self, programs: &Programs, root: &Path) -> Result<(), AttachError> {
        let folder = std::fs::File::open(root).map_err(|source| AttachError::Attach {
            hook: "socket programs",
            target: root.display().to_string(),
            source,
        })?;
        for entry in PROGRAMS.iter().filter(|entry| !is_packet_hook(entry.attach)) {
            let target = folder.as_raw_fd() as u32;
            self.attach(programs, entry.hook, &format!("cgroup-{}", entry.name), target, Place::Any)?;
        }
        Ok(())
    }

    /// Removes the pins of interfaces that no longer exist.
    pub fn prune(&self, exists: impl Fn(&str) -> bool) -> io::Result<usize> {
        let Some(folder) = &self.folder else { return Ok(0) };
        let mut pruned = 0;
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let interface = name.rsplit_once('-').map_or(name, |(interface, _)| interface);
            if interface != "cgroup" && !exists(&interface.replace('+', ".")) {
                std::fs::remove_file(&path)?;
                pruned += 1;
            }
        }
        Ok(pruned)
    }

    fn attach(
        &mut self,
        programs: &Programs,
        hook: Hook,
        name: &str,
        target: u32,
        place: Place,
    ) -> Result<(), AttachError> {
        let program = programs.fd(hook)?;
        let pin = self.folder.as_ref().map(|folder| folder.join(pin_name(name)));
        if let Some(pin) = &pin
            && adopt(pin, |link| sys::link_update(link.as_fd(), program))
        {
            return Ok(());
        }
        let link = sys::link_create(program, target, kind_of(hook)?, place)
            .map_err(|source| AttachError::Attach { hook: hook.name(), target: name.to_owned(), source })?;
        match pin {
            Some(path) => {
                sys::pin(link.as_fd(), &path).map_err(|source| AttachError::Pin { path, source })?;
            }
            None => drop(self.held.insert(name.to_owned(), link)),
        }
        Ok(())
    }
}

fn attach_filter(
    programs: &mut Programs,
    hook: Hook,
    interface: &str,
    place: Place,
) -> Result<(), AttachError> {
    let attached =
        clsact::attach(programs.classifier(hook)?, interface, kind_of(hook)?, place == Place::First);
    attached.map_err(|source| LoadError::Program { name: hook.name(), source: Box::new(source) }.into())
}

/// A bpffs takes no dots, which names of interfaces may have.
fn pin_name(name: &str) -> String {
    name.replace('.', "+")
}

/// Takes over a pinned link; a dead one (its interface is gone) is unpinned.
fn adopt(pin: &Path, update: impl Fn(&OwnedFd) -> io::Result<()>) -> bool {
    let Ok(link) = sys::open_pin(pin) else { return false };
    if update(&link).is_ok() {
        return true;
    }
    let _ = std::fs::remove_file(pin);
    false
}

fn kind_of(hook: Hook) -> Result<AttachType, LoadError> {
    let entry = PROGRAMS.iter().find(|entry| entry.hook == hook);
    entry.map(|entry| entry.attach).ok_or(LoadError::Missing(hook.name()))
}

fn is_packet_hook(kind: AttachType) -> bool {
    matches!(kind, AttachType::TcxIngress | AttachType::TcxEgress)
}
